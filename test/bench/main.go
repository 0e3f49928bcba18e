//go:build linux

// Command bench measures what the project costs on a host with many sockets and
// on a small one, and prints tables and what of the targets is met. It makes the
// sockets itself, in processes of its own within a network namespace of its own,
// so it needs root and disturbs nothing.
//
// It is run with the names of what to measure, as in
//
//	go run ./test/bench large
//
// It imports the project's packages, test/measuring, netlink and x/sys/unix; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// options are the flags.
type options struct {
	size
	daemon      string        // path of the daemon
	monerod     string        // path of monerod
	idle        time.Duration // how long an idle daemon is watched
	load        time.Duration // how long each load of requests lasts
	timeout     time.Duration // of all
	profile     string        // file for the profile of get_connections
	profileREST string        // file for the profile of /api/connections
	markdown    string        // file for all that was found
}

// size says how many sockets are made and how often each thing is measured.
type size struct {
	processes int // that hold sockets
	pairs     int // connections of each process, of which it holds both ends
	runs      int
}

// benchmark is something that can be measured.
type benchmark struct {
	name  string
	run   func(context.Context, options) (*section, error)
	needs []string // programs
}

func benchmarks(monerod string) []benchmark {
	return []benchmark{
		{"large", large, []string{"ss"}},
		{"scale", scale, nil},
		{"small", small, []string{monerod}},
		{"sampler", sampler, nil},
		{"owners", owners, []string{"ss"}},
	}
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch err := run(ctx, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case holdCommand:
			return hold(args[1:])
		case fetchCommand:
			return fetch(ctx, args[1:])
		case readyCommand:
			return ready(ctx, args[1:])
		case walkedCommand:
			return walked(ctx, args[1:])
		}
	}
	o, chosen, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done within %s (-timeout)", o.timeout))
	defer cancel()
	if !measuring.Inside() {
		path, remove, err := measuring.Daemon(ctx, o.daemon)
		if err != nil {
			return err
		}
		defer remove()
		return measuring.Rerun(ctx, append([]string{"-daemon", path}, args...))
	}
	if err := measuring.LoopbackUp(); err != nil {
		return err
	}
	r := report{machine: machine(ctx, o.monerod)}
	if err := r.machine.Print(os.Stdout); err != nil {
		return err
	}
	for _, b := range chosen {
		found, err := b.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, errors.Join(err, context.Cause(ctx)))
		}
		if err := r.add(os.Stdout, found); err != nil {
			return err
		}
	}
	return r.end(os.Stdout, o.markdown)
}

// machine says what all is measured on, and against what.
func machine(ctx context.Context, monerod string) *measuring.Table {
	t := measuring.Machine()
	t.Rows = append(
		t.Rows,
		[]string{"ss", measuring.VersionOf(ctx, "ss", "-V")},
		[]string{"monerod", measuring.VersionOf(ctx, monerod, "--version")},
	)
	return t
}

// parse reads the command line.
func parse(args []string) (o options, chosen []benchmark, err error) {
	wants := "all"
	for _, b := range benchmarks("") {
		wants += ", " + b.name
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: bench [flags] WHAT..., which are of: %s\n", wants)
		flags.PrintDefaults()
	}
	flags.IntVar(&o.processes, "processes", 6, "`number` of processes that hold sockets")
	flags.IntVar(&o.pairs, "pairs", 9000, "`number` of connections of each process, of which it holds both ends")
	flags.IntVar(&o.runs, "runs", 5, "`number` of runs of which the median is told")
	flags.StringVar(&o.daemon, "daemon", "", "`path` of the daemon (default: it is built)")
	flags.StringVar(&o.monerod, "monerod", "monerod", "`path` of monerod")
	flags.DurationVar(&o.idle, "idle", 15*time.Second, "`time` for which an idle daemon is watched, at least")
	flags.DurationVar(&o.load, "load", time.Second, "`time` for which each number of clients asks, in each run")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "`time` after which all is ended")
	flags.StringVar(&o.profile, "cpuprofile", "", "`file` for a CPU profile of get_connections, made by large")
	flags.StringVar(&o.profileREST, "cpuprofile-rest", "", "`file` for a CPU profile of /api/connections, made by large")
	flags.StringVar(&o.markdown, "markdown", "", "`file` for all that was found, in Markdown")
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	known := benchmarks(o.monerod)
	for _, name := range flags.Args() {
		i := slices.IndexFunc(known, func(b benchmark) bool { return b.name == name })
		switch {
		case name == "all":
			chosen = known
		case i < 0:
			return o, nil, fmt.Errorf("%q cannot be measured, want one of: %s", name, wants)
		default:
			chosen = append(chosen, known[i])
		}
	}
	for _, b := range chosen {
		for _, program := range b.needs {
			if _, err := exec.LookPath(program); err != nil {
				return o, nil, fmt.Errorf("%s cannot be measured: %w (Debian has monerod in its package monero, ss in iproute2)", b.name, err)
			}
		}
	}
	switch {
	case chosen == nil:
		return o, nil, fmt.Errorf("say what to measure, of: %s", wants)
	case o.processes < 1 || o.processes > maxProcesses:
		return o, nil, fmt.Errorf("-processes is %d, want 1 to %d", o.processes, maxProcesses)
	case o.pairs < 1 || o.pairs > maxPairs:
		return o, nil, fmt.Errorf("-pairs is %d, want 1 to %d", o.pairs, maxPairs)
	case o.runs < 1:
		return o, nil, fmt.Errorf("-runs is %d, want at least 1", o.runs)
	}
	return o, chosen, nil
}
