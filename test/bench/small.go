//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// server is one that is asked on a small host.
type server struct {
	name    string
	command string // of this program, which serves; "": it is another
	process *process
	address string
	request []byte
	loads   []*load
	fresh   string // how many answers were from a fresh dump; "" where that cannot be told
}

// What small asks.
const (
	oursName    = "connectionsd"
	scopedName  = "connectionsd, scope"
	monerodName = "monerod"
	readyName   = "net/http alone, as many bytes"
	walkedName  = "a fresh dump alone, as many bytes"
)

// small measures, on a host with a monerod, its two peers and little more, how
// fast the daemon and the monerod answer the same call.
func small(ctx context.Context, o options) (_ *section, err error) {
	n, err := startNodes(ctx, o.monerod)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	d, err := serve(ctx, o.daemon)
	if err != nil {
		return nil, err
	}
	defer d.close()
	found := new(section)
	t := &measuring.Table{
		Title:  fmt.Sprintf("get_connections on a small host: medians of %d runs of %s", o.runs, o.load),
		Header: []string{"clients", "server", "requests a second", "p50", "p99", "CPU for each", "answers from a fresh dump"},
	}
	for _, clients := range []int{1, 8, 64} {
		ours := server{name: oursName, process: d.process, address: d.address, request: call(getConnections)}
		scoped := server{name: scopedName, process: d.process, address: d.address, request: callWith(fmt.Sprintf(`{"scope":%d}`, nodeP2P))}
		theirs := server{name: monerodName, process: n.first(), address: n.asked, request: call(getConnections)}
		servers := []*server{&ours, &scoped, &theirs}
		if err := askByTurns(ctx, o, clients, servers); err != nil {
			return nil, err
		}
		for _, floor := range []server{{name: readyName, command: readyCommand}, {name: walkedName, command: walkedCommand}} {
			if err := floor.askAlone(ctx, o, clients, ours.loads[0].size); err != nil {
				return nil, err
			}
			servers = append(servers, &floor)
		}
		fresh, answers, err := freshness(ctx, d.address, clients, o.load)
		if err != nil {
			return nil, fmt.Errorf("%d clients: %w", clients, err)
		}
		ours.fresh = fmt.Sprintf("%d of %d", fresh, answers)
		for _, s := range servers {
			m := s.median()
			t.Rows = append(t.Rows, []string{
				fmt.Sprint(clients), s.name, fmt.Sprintf("%.0f", m.perSecond),
				milliseconds(m.p50), milliseconds(m.p99), milliseconds(m.cpu), s.fresh,
			})
		}
		if clients == 8 {
			found.targets = append(found.targets, smallTargets(ours.median(), theirs.median(), fresh, answers)...)
		}
	}
	found.tables = append(found.tables, t)
	return found, nil
}

// askByTurns puts each server under so many loads.
func askByTurns(ctx context.Context, o options, clients int, servers []*server) error {
	for range o.runs {
		for _, s := range servers {
			if err := s.ask(ctx, clients, o.load); err != nil {
				return fmt.Errorf("%d clients of %s: %w", clients, s.name, err)
			}
		}
	}
	return nil
}

// askAlone puts a server of this program under the same loads that has an answer
// of so many bytes ready.
func (s *server) askAlone(ctx context.Context, o options, clients, size int) (err error) {
	if s.process, s.address, err = serveAlone(ctx, s.command, size); err != nil {
		return err
	}
	defer s.process.stop()
	s.request = call(getConnections)
	return askByTurns(ctx, o, clients, []*server{s})
}

// smallTargets are the targets of a small host with 8 clients.
func smallTargets(ours, theirs load, fresh, answers int) []target {
	ratio := ours.perSecond / theirs.perSecond
	return []target{
		{"small host, 8 clients, requests a second", fmt.Sprintf("%.0f, %s monerod's", ours.perSecond, times(ratio)), "at least 2 x monerod's", ratio >= 2},
		{"small host, 8 clients, p99", milliseconds(ours.p99), "at most monerod's, " + milliseconds(theirs.p99), ours.p99 <= theirs.p99},
		{"small host, 8 clients, answers from a fresh dump", fmt.Sprintf("%d of %d", fresh, answers), "all", fresh == answers},
	}
}

// ask puts the server under a load.
func (s *server) ask(ctx context.Context, clients int, lasting time.Duration) error {
	before, err := s.process.cpuTime()
	if err != nil {
		return err
	}
	l, err := ask(ctx, s.address, clients, lasting, s.request, nil)
	if err != nil {
		return err
	}
	after, err := s.process.cpuTime()
	l.cpu = (after - before) / time.Duration(l.answers)
	s.loads = append(s.loads, l)
	return err
}

// median returns the median of each value of the loads.
func (s *server) median() load {
	var perSecond []float64
	var p50, p99, cpu []time.Duration
	for _, l := range s.loads {
		perSecond = append(perSecond, l.perSecond)
		p50, p99, cpu = append(p50, l.p50), append(p99, l.p99), append(cpu, l.cpu)
	}
	return load{perSecond: measuring.Median(perSecond), p50: measuring.Median(p50), p99: measuring.Median(p99), cpu: measuring.Median(cpu)}
}

// freshness asks the daemon under the same load for the connections of the whole
// host, and looks in each answer for the connection that it was asked on. How
// many bytes the daemon has received on it tells whether the dump knows of the
// request: one that began before has one request less.
func freshness(ctx context.Context, address string, clients int, lasting time.Duration) (fresh, answers int, err error) {
	_, err = ask(ctx, address, clients, lasting, call(getConnections), func(m *member, answer []byte) error {
		received, err := receivedFrom(answer, m.local.String())
		if err != nil {
			return err
		}
		answers++
		if received == m.sent {
			fresh++
		}
		return nil
	})
	return fresh, answers, err
}

// receivedFrom returns the recv_count of the connection with a remote end.
func receivedFrom(answer []byte, remote string) (int, error) {
	_, record, found := bytes.Cut(answer, []byte(`{"address":"`+remote+`"`))
	if !found {
		return 0, fmt.Errorf("an answer has no connection from %s, which asked for it", remote)
	}
	_, value, _ := bytes.Cut(record, []byte(`"recv_count":`))
	value, _, _ = bytes.Cut(value, []byte(","))
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, fmt.Errorf("recv_count of the connection from %s: %w", remote, err)
	}
	return n, nil
}
