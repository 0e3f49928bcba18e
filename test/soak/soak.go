//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

const (
	soakClients = 10
	soakPerSec  = 50 // requests, of all clients
	soakStaying = 200
)

// warmUp is the part of the time that is not looked at: of half an hour the first five minutes.
func warmUp(soak time.Duration) time.Duration { return soak / periods }

// asked is what the clients of the soak ask, by turns.
func asked(port uint16) [][]byte {
	return [][]byte{
		getConnections,
		getREST,
		callWith(fmt.Sprintf(`{"scope":%d}`, port)),
		callWith(fmt.Sprintf(`{"local_port":%d,"extended":true}`, port)),
		getMetrics,
	}
}

// trySoak lets connections pass through while clients ask, and looks at what the daemon takes.
func trySoak(ctx context.Context, o options) (_ *section, err error) {
	d, err := serve(ctx, o.daemon, "--rate-limit", "0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	rate := float64(o.connections) / o.soak.Seconds()
	passing, err := startChild[passNews](ctx, passCommand, "-stay", fmt.Sprint(soakStaying), "-rate", fmt.Sprint(rate))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	asking, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	var clients [soakClients]*experience
	for i := range clients {
		group.Go(func() { clients[i] = soakClient(asking, d, i) })
	}
	samples, err := d.sample(ctx, o.soak)
	took := time.Since(began)
	stop()
	group.Wait()
	news, nextErr := passing.next(ctx)
	if nextErr == nil { // that was the last it said, at the most a second ago
		news, nextErr = passing.next(ctx)
	}
	if err := errors.Join(err, nextErr, passing.close()); err != nil {
		return nil, err
	}
	all := &experience{wrong: make(tally)}
	for _, e := range clients {
		all.took = append(all.took, e.took...)
		for name, n := range e.wrong {
			all.wrong[name] += n
		}
	}
	return soakSection(o, samples, all, news, took), nil
}

// soakClient asks, at its share of the rate, until ctx is done.
func soakClient(ctx context.Context, d *daemon, number int) *experience {
	e := &experience{wrong: make(tally)}
	requests := asked(d.address.Port())
	const every = time.Second * soakClients / soakPerSec
	if sleep(ctx, every*time.Duration(number)/soakClients) != nil {
		return e
	}
	c, err := dial(ctx, clientAddress(honestClients, byte(1+number)), d.address)
	if err != nil {
		e.wrong[shortened(err)]++
		return e
	}
	defer c.close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := number; ; i++ {
		began := time.Now()
		switch a, err := c.ask(requests[i%len(requests)], false); {
		case err != nil:
			e.wrong[shortened(err)]++
			return e // a kept connection that is lost is a fault, and is told once
		case a.status != http.StatusOK:
			e.wrong[fmt.Sprint("status ", a.status)]++
		default:
			e.took = append(e.took, time.Since(began))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return e
		}
	}
}

// sample is what the daemon took at a moment of the soak.
type sample struct {
	at time.Duration
	usage
}

// sample looks at the daemon every ten seconds, and at least 60 times, for some time.
func (d *daemon) sample(ctx context.Context, lasting time.Duration) (samples []sample, err error) {
	c, err := dial(ctx, netip.MustParseAddr("127.0.0.1"), d.address)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if _, err := goroutines(c); err != nil { // at once: a client that says nothing for five seconds is cut off
		return nil, err
	}
	ticker := time.NewTicker(min(10*time.Second, lasting/60))
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < lasting; {
		select {
		case <-ticker.C:
		case <-d.exited:
			return nil, fmt.Errorf("the daemon has ended: %s", d.log)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		s := sample{at: time.Since(began)}
		if s.usage, err = d.usage(); err != nil {
			return nil, err
		}
		if s.goroutines, err = goroutines(c); err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// goroutines asks the daemon how many it has.
func goroutines(c *client) (int, error) {
	a, err := c.ask(getMetrics, true)
	if err != nil {
		return 0, fmt.Errorf("ask for /metrics: %w", err)
	}
	_, rest, _ := bytes.Cut(a.body, []byte("\ngo_goroutines "))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, fmt.Errorf("go_goroutines of /metrics: %w", err)
	}
	return n, nil
}

func soakSection(o options, samples []sample, all *experience, news passNews, took time.Duration) *section {
	asked := len(all.took) + all.wrong.sum()
	found := &section{
		tables: []*measuring.Table{soakTable(samples, o.soak)},
		figures: []figure{
			wants("connections that passed through", fmt.Sprintf("%d in %s", news.Opened-soakStaying, took.Round(time.Second)), fmt.Sprint(o.connections), news.Opened-soakStaying >= o.connections),
			wants("requests", fmt.Sprintf("%d, %.1f a second", asked, float64(asked)/took.Seconds()), "50 a second", float64(asked) >= 0.98*soakPerSec*o.soak.Seconds()),
			wants("answers that were not 200", all.wrong.String(), "none", all.wrong.sum() == 0),
			told("time of an answer", "%v", all),
		},
	}
	found.figures = append(found.figures, steadiness(o, samples)...)
	return found
}
