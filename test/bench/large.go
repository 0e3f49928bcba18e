//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
)

// Ports of the two processes whose few connections are asked for among the
// many. The kernel gives none of these to who connects.
const (
	scopePort = 18080
	localPort = 18090
)

// few is how many sockets each of the two requests matches: a scope has both
// ends of the connections that its process holds, a local port one.
const few = 20

// large measures what it costs to ask for many sockets, and for few among many.
func large(ctx context.Context, o options) (_ *section, err error) {
	made, err := makeSockets(ctx, o.size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, made.close()) }()
	if err := errors.Join(made.add(ctx, few/2, scopePort), made.add(ctx, few, localPort)); err != nil {
		return nil, err
	}
	found := new(section)
	connections := 2 * (o.processes*o.pairs + few/2 + few)
	for _, step := range []func(context.Context, options, int, *section) error{largeTimes, memory, profiles} {
		if err := step(ctx, o, connections, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// request is one that is made of a daemon.
type request struct {
	name    string
	daemon  *daemon
	bytes   []byte
	records int // that the answer has of connections
	note    string
}

func (r request) task() task {
	return task{name: r.name, run: func() error { return r.daemon.skip(r.bytes) }, note: r.note, worker: r.daemon.process}
}

// What largeTimes measures, where a target goes by it.
const (
	bareName     = "bare dump"
	bareNoneName = "bare dump, no socket"
	jsonrpcName  = "get_connections"
	restBPFName  = "/api/connections, BPF"
	restProcName = "/api/connections, /proc"
	ssName       = "ss -tinaH"
	ssOwnersName = "ss -tinapH"
)

// fewNames are those of the requests for a few sockets.
func fewNames() []string {
	return []string{
		"get_connections, local_port", "get_connections, scope",
		"/api/connections, local_port", "/api/connections, scope",
	}
}

// largeTimes measures the times of one after the other.
func largeTimes(ctx context.Context, o options, connections int, found *section) error {
	bare, err := dialBare()
	if err != nil {
		return err
	}
	defer bare.close()
	none, err := dialBareOf(1 << closing)
	if err != nil {
		return err
	}
	defer none.close()
	byBPF, err := serve(ctx, o.daemon, "--bpf", "on")
	if err != nil {
		return err
	}
	defer byBPF.close()
	byProc, err := serve(ctx, o.daemon, "--bpf", "off")
	if err != nil {
		return err
	}
	defer byProc.close()
	connections += 2 * 2 // those with the two daemons
	host, stop, err := collect(ctx, collector.HostOptions{})
	if err != nil {
		return err
	}
	defer stop()

	of := fewNames()
	requests := []request{
		{jsonrpcName, byBPF, call(getConnections), connections, "over loopback HTTP, to the last byte"},
		{restBPFName, byBPF, get(apiConnections), connections, "with owners"},
		{restProcName, byProc, get(apiConnections), connections, "with owners, remembered from the last look"},
	}
	fewRequests := []request{
		{of[0], byBPF, callWith(fmt.Sprintf(`{"local_port":%d}`, localPort)), few, ""},
		{of[1], byBPF, callWith(fmt.Sprintf(`{"scope":%d}`, scopePort)), few, ""},
		{of[2], byBPF, get(fmt.Sprintf("%s?local_port=%d", apiConnections, localPort)), few, ""},
		{of[3], byBPF, get(fmt.Sprintf("%s?scope=%d", apiConnections, scopePort)), few, ""},
	}
	dumpAndJoin := func() error { return snapshot(ctx, host, connections) }
	run := func(name string, args ...string) func() error {
		return func() error { return exec.CommandContext(ctx, name, args...).Run() }
	}
	walk := task{name: bareNoneName, run: func() error { return none.dump(ctx) }, note: "of a state that no socket is in"}
	tasks := []task{
		{name: bareName, run: func() error { return bare.dump(ctx) }, note: "send, receive into 64 KiB, throw away"},
		walk,
		{name: "dump and join", run: dumpAndJoin, note: "by a Collector in process"},
	}
	for _, r := range requests {
		tasks = append(tasks, r.task())
	}
	tasks = append(
		tasks,
		task{name: "SocketDiagTCPInfo", run: socketDiagTCPInfo, note: "of vishvananda/netlink, AF_INET and AF_INET6"},
		task{name: ssName, run: run("ss", "-tinaH"), note: "its output thrown away"},
		task{name: ssOwnersName, run: run("ss", "-tinapH"), note: "its output thrown away", most: 3},
	)
	for i := range tasks {
		tasks[i].prepare = func() error { runtime.GC(); return nil } // what the last one left is not this one's
	}
	// The first answers are looked at, and not counted.
	for _, r := range append(slices.Clone(requests), fewRequests...) {
		if err := r.daemon.check(r.bytes, r.records); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	rows, err := measure(o.runs, tasks)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%d connections: medians of %d runs", connections, o.runs)
	found.tables = append(found.tables, timings(title, rows))
	found.targets = append(found.targets, largeTargets(rows)...)
	var fewTasks []task
	for _, r := range fewRequests {
		fewTasks = append(fewTasks, r.task())
	}
	floor, stopFloor, err := walkTask(ctx)
	if err != nil {
		return err
	}
	defer stopFloor()
	fewTasks = append(fewTasks, floor)
	fewRuns := 12 * o.runs // they are short, and what a walk takes varies by more than what is asked for
	fewRows, err := measureFew(fewRuns, walk, fewTasks)
	if err != nil {
		return err
	}
	found.tables = append(found.tables, fewTable(fmt.Sprintf("%d of %d connections: medians of %d runs", few, connections, fewRuns), fewRows))
	found.targets = append(found.targets, fewTargets(fewRows[:len(of)])...)
	return nil
}

// walkTask asks a server that walks and does nothing else: the floor under a
// request for a few sockets. stop ends it.
func walkTask(ctx context.Context) (t task, stop func(), err error) {
	const size = 10000 // bytes, as many as 20 records have
	p, address, err := serveAlone(ctx, readyCommand, size)
	if err != nil {
		return task{}, nil, err
	}
	c, err := dial(ctx, address)
	if err != nil {
		p.stop()
		return task{}, nil, err
	}
	stop = func() { c.close(); p.stop() }
	return task{name: "net/http and a walk alone", run: func() error { return c.skip(get(walkPath)) }, worker: p}, stop, nil
}

// largeTargets are the targets that the times of a large host have to reach.
func largeTargets(rows []timing) []target {
	by := make(map[string]timing)
	for _, r := range rows {
		by[r.name] = r
	}
	toBare := func(name string, most float64) target {
		r := by[name]
		return target{name, fmt.Sprintf("%s, %s", milliseconds(r.took), times(r.ratio)), fmt.Sprintf("at most %.1f x the bare dump", most), r.ratio <= most}
	}
	toSS := func(name, ss string, least float64) target {
		ratio := float64(by[ss].took) / float64(by[name].took)
		return target{name + " against " + ss, fmt.Sprintf("%.1f x faster", ratio), fmt.Sprintf("at least %.0f x faster", least), ratio >= least}
	}
	return []target{
		toBare(jsonrpcName, 1.6), toSS(jsonrpcName, ssName, 4),
		toBare(restBPFName, 2.2), toSS(restBPFName, ssOwnersName, 20),
		toBare(restProcName, 2.5),
	}
}

// collect runs a Collector of the namespace in this process until stop is
// called.
func collect(ctx context.Context, o collector.HostOptions) (host *collector.Collector, stop func(), err error) {
	host, err = collector.NewHost(o)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		host.Run(ctx)
	}()
	return host, func() { cancel(); <-done }, nil
}

// snapshot takes one, which is to have so many connections.
func snapshot(ctx context.Context, host *collector.Collector, connections int) error {
	snap, release, err := host.Snapshot(ctx, collector.Want{})
	if err != nil {
		return err
	}
	defer release()
	if len(snap.Sockets) < connections {
		return fmt.Errorf("a snapshot of %d sockets, want %d connections at least", len(snap.Sockets), connections)
	}
	return nil
}

func socketDiagTCPInfo() error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if _, err := netlink.SocketDiagTCPInfo(family); err != nil {
			return err
		}
	}
	return nil
}
