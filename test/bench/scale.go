//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// scale measures whether a socket among many takes longer than one among few.
// What is left without any, the walk of the kernel's tables above all, is not
// the sockets'.
func scale(ctx context.Context, o options) (*section, error) {
	walk, err := scaleAt(ctx, o, 0)
	if err != nil {
		return nil, err
	}
	t := &measuring.Table{Title: "Time for each socket, less what none take", Header: []string{"sockets", "runs"}}
	none := []string{"none, in all", fmt.Sprint(walk.runs)}
	for _, r := range walk.rows {
		t.Header = append(t.Header, r.name)
		none = append(none, milliseconds(r.took))
	}
	t.Rows = append(t.Rows, none)
	var asked []time.Duration // of get_connections
	var measured []*scaled
	for _, sockets := range []int{1_000, 10_000, 100_000} {
		at, err := scaleAt(ctx, o, sockets)
		if err != nil {
			return nil, err
		}
		measured = append(measured, at)
		line := []string{fmt.Sprint(at.sockets), fmt.Sprint(at.runs)}
		for i, r := range at.rows {
			each := (r.took - walk.rows[i].took) / time.Duration(at.sockets)
			line = append(line, nanoseconds(each))
			if r.name == jsonrpcName {
				asked = append(asked, each)
			}
		}
		t.Rows = append(t.Rows, line)
	}
	const most = 1.5
	ratio := float64(slices.Max(asked)) / float64(slices.Min(asked))
	targets := []target{{
		"time for each of 1,000, 10,000, 100,000 sockets, walk subtracted: get_connections",
		fmt.Sprintf("%d, %d, %d ns: within %s", asked[0], asked[1], asked[2], times(ratio)),
		fmt.Sprintf("within %.1f x", most), ratio <= most,
	}}
	few, many := measured[0], measured[len(measured)-1]
	for i, name := range []string{jsonrpcName, restBPFName} {
		targets = append(targets, allocationsTarget(name, few.allocations[i], many.allocations[i], many.sockets-few.sockets))
	}
	return &section{tables: []*measuring.Table{t}, targets: targets}, nil
}

// scaled is what was measured with so many sockets.
type scaled struct {
	sockets, runs int
	rows          []timing
	// allocations are the objects that each of the two requests allocates.
	allocations []float64
}

// scaleAt measures with about so many sockets.
func scaleAt(ctx context.Context, o options, sockets int) (_ *scaled, err error) {
	of := o.size.holding(sockets)
	made, err := makeSockets(ctx, of)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, made.close()) }()
	bare, err := dialBare()
	if err != nil {
		return nil, err
	}
	defer bare.close()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	socket := filepath.Join(dir, "socket")
	d, err := serveCounted(ctx, o.daemon, socket, "--bpf", "on")
	if err != nil {
		return nil, err
	}
	defer d.close()
	mallocs := newMallocs(d, socket)
	defer mallocs.close()
	const own = 2 // with the daemon
	requests := []request{
		{jsonrpcName, d, call(getConnections), of.sockets() + own, ""},
		{restBPFName, d, get(apiConnections), of.sockets() + own, ""},
	}
	tasks := []task{{name: bareName, run: func() error { return bare.dump(ctx) }}}
	for _, r := range requests {
		if err := d.check(r.bytes, r.records); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		tasks = append(tasks, r.task())
	}
	runtime.GC()
	at := scaled{sockets: of.sockets()}
	// What takes little time is measured more often, since less disturbs it more.
	at.runs = max(o.runs, 1_000_000/(sockets+1000))
	if at.rows, err = measure(at.runs, tasks); err != nil {
		return nil, err
	}
	for _, r := range requests {
		n, err := mallocs.each(ctx, r.bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		at.allocations = append(at.allocations, n)
	}
	return &at, nil
}

// holding returns the size that is nearest to so many sockets.
func (s size) holding(sockets int) size {
	s.pairs = sockets / (2 * s.processes)
	return s
}

// sockets is how many connections the processes hold, each of the two ends
// counted.
func (s size) sockets() int { return 2 * s.processes * s.pairs }
