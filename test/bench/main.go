//go:build linux

// Command bench measures what the project costs on a host with many sockets,
// and prints a table. It makes the sockets itself, in processes of its own
// within a network namespace of its own, so it needs root and disturbs nothing.
//
// It is run with the name of what to measure, as in
//
//	go run ./test/bench owners
//
// It imports the project's packages, netlink and x/sys/unix; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// size says how many sockets are made and how often each thing is measured.
type size struct {
	processes int // that hold sockets
	pairs     int // connections of each process, of which it holds both ends
	runs      int
}

// benchmarks are what can be measured, by name.
func benchmarks() map[string]func(context.Context, size) (*table, error) {
	return map[string]func(context.Context, size) (*table, error){
		"owners": owners,
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
	if len(args) > 0 && args[0] == holdCommand {
		return hold(args[1:])
	}
	names := strings.Join(slices.Sorted(maps.Keys(benchmarks())), ", ")
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: bench [flags] WHAT, which is one of: %s\n", names)
		flags.PrintDefaults()
	}
	var of size
	flags.IntVar(&of.processes, "processes", 6, "`number` of processes that hold sockets")
	flags.IntVar(&of.pairs, "pairs", 9000, "`number` of connections of each process, of which it holds both ends")
	flags.IntVar(&of.runs, "runs", 5, "`number` of runs of which the median is told")
	if err := flags.Parse(args); err != nil {
		return err
	}
	benchmark, known := benchmarks()[flags.Arg(0)]
	switch {
	case flags.NArg() != 1 || !known:
		return fmt.Errorf("say what to measure, one of: %s", names)
	case of.processes < 1 || of.processes > maxProcesses:
		return fmt.Errorf("-processes is %d, want 1 to %d", of.processes, maxProcesses)
	case of.pairs < 1 || of.pairs > maxPairs:
		return fmt.Errorf("-pairs is %d, want 1 to %d", of.pairs, maxPairs)
	case of.runs < 1:
		return fmt.Errorf("-runs is %d, want at least 1", of.runs)
	}
	if !inNamespace() {
		return rerun(ctx, args)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	t, err := benchmark(ctx, of)
	if err != nil {
		return err
	}
	return t.print(os.Stdout)
}
