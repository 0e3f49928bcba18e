//go:build linux

// Command soak holds the built daemon against what it meets when it is left running: malformed requests, clients that are
// slow, more requests than it can answer, half an hour of connections that come and go, SIGTERM under load, and kill -9. It
// prints a table of what was measured and what the targets are, and ends with exit code 1 where one is not met.
//
// All of it happens in processes of its own within a network namespace of its own, so it needs root and disturbs nothing
// but the processors. It is run with the names of what to measure, as in
//
//	go run ./test/soak sigterm restart
//
// It imports of the project only test/malformed and test/measuring; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// A trial is something that the daemon is held against.
type trial struct {
	name string
	run  func(context.Context, options) (*section, error)
}

func trials() []trial {
	return []trial{
		{"malformed", tryMalformed},
		{"slow", trySlow},
		{"overload", tryOverload},
		{"soak", trySoak},
		{"sigterm", trySIGTERM},
		{"restart", tryRestart},
	}
}

func main() {
	runtime.LockOSThread() // the processes that this goroutine starts end when their thread does (Pdeathsig)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	cancel()
	var inside *measuring.InsideError
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &inside):
		os.Exit(inside.Code) // it has said why
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case slowCommand:
			return holdSlow(ctx, args[1:])
		case passCommand:
			return passThrough(ctx, args[1:])
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
	if err := addClientAddresses(); err != nil {
		return err
	}
	if err := measuring.Machine().Print(os.Stdout); err != nil {
		return err
	}
	var all []figure
	for _, t := range chosen {
		found, err := t.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, errors.Join(err, context.Cause(ctx)))
		}
		if err := found.print(os.Stdout, t.name); err != nil {
			return err
		}
		all = append(all, found.figures...)
	}
	return conclude(os.Stdout, all)
}

// parse reads the command line.
func parse(args []string) (o options, chosen []trial, err error) {
	wants := "all"
	known := trials()
	for _, t := range known {
		wants += ", " + t.name
	}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: soak [flags] WHAT..., which are of: %s\n", wants)
		flags.PrintDefaults()
	}
	o.declare(flags)
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	o.shorten(flags)
	for _, name := range flags.Args() {
		i := slices.IndexFunc(known, func(t trial) bool { return t.name == name })
		switch {
		case name == "all":
			chosen = known
		case i < 0:
			return o, nil, fmt.Errorf("%q cannot be measured, want one of: %s", name, wants)
		default:
			chosen = append(chosen, known[i])
		}
	}
	if chosen == nil {
		return o, nil, fmt.Errorf("say what to measure, of: %s", wants)
	}
	return o, chosen, o.check()
}
