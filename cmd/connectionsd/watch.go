package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
)

func newWatchCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the connections as they change, on a terminal",
		Long: "watch shows what list prints, again and again, with the rates of each connection, on a terminal. It needs no daemon;\n" +
			"with --rpc-address it asks one. The key ? tells what keys there are, and q ends it.\n\n" +
			"RECV/S and SENT/S are payload between the latest two looks; beside them stand those of the looks before.",
		Example: "  connectionsd watch --incoming\n" +
			"  connectionsd watch --scope 18080 --interval 5s --units si",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := resolveLook(cmd.Flags(), watchOptions(), p.environ)
			if err != nil {
				return &usageError{err}
			}
			return p.watch(cmd.Context(), &o)
		},
	}
	addOptions(cmd.Flags(), watchOptions())
	return cmd
}

// watchOptions are the flags of watch, in the order of the help.
func watchOptions() []option {
	return slices.Concat(filterOptions(), showOptions(), []option{
		valued("interval", "TIME", "1s", "from one look to the next, from 100ms to 1h", func(o *lookOptions) *time.Duration { return &o.interval }, parseInterval),
		switched("once", "take two looks, show what there is then, and end; needs no terminal", func(o *lookOptions) *bool { return &o.once }),
	}, askOptions())
}

func parseInterval(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 100*time.Millisecond || d > time.Hour {
		return 0, errors.New("want a time from 100ms to 1h, such as 500ms, 2s or 1m")
	}
	return d, nil
}

// watch looks until it is told to end, by a key or by ctx, which is no error.
func (p program) watch(ctx context.Context, o *lookOptions) error {
	s := screenOf(p.stdout, o.colour, p.environ)
	if !s.isTerminal && !o.once {
		return &usageError{errors.New("stdout is no terminal: want one, or watch --once, or list")}
	}
	// A terminal that is closed says so by SIGHUP.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	from, err := openSource(ctx, o, p.stderr)
	if err != nil {
		return err
	}
	defer from.close()
	l := newLooker(from, o)
	// What cannot be seen at all is said where it can be read afterwards.
	first := l.look(ctx)
	if first.err != nil {
		return first.err
	}
	w := newWatcher(o, s.colour, l.tell)
	w.take(first)
	if o.once {
		return p.watchOnce(ctx, w, l, s)
	}
	profile := colorprofile.ANSI
	if !s.colour {
		profile = colorprofile.ASCII
	}
	screen := tea.NewProgram(w, tea.WithOutput(p.stdout), tea.WithEnvironment(p.environ), tea.WithoutSignalHandler(), tea.WithColorProfile(profile))
	looking, stopLooking := context.WithCancel(ctx)
	var looks sync.WaitGroup
	looks.Go(func() { l.run(looking, func(seen sight) { screen.Send(seen) }) })
	defer context.AfterFunc(ctx, screen.Quit)()
	_, err = screen.Run()
	stopLooking()
	looks.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch on this terminal: %w", err)
	}
	return nil
}

// watchOnce prints what there is to see after a second look.
func (p program) watchOnce(ctx context.Context, w *watcher, l *looker, s screen) error {
	select {
	case <-time.After(w.o.interval):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	second := l.look(ctx)
	if second.err != nil {
		return second.err
	}
	w.take(second)
	w.width, w.height = s.width, 0
	if !s.isTerminal {
		w.width = math.MaxUint16 // nothing is shortened
	}
	if _, err := fmt.Fprintln(p.stdout, w.text()); err != nil {
		return fmt.Errorf("print the connections: %w", err)
	}
	return nil
}
