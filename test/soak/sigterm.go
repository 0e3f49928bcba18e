//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// sigtermWithin is how long the daemon may take to end.
const sigtermWithin = 5 * time.Second

// silence is after how long without a request the daemon may close a connection at its end. It waits for half a second.
const silence = 400 * time.Millisecond

const sigtermClients = 50

// trySIGTERM ends the daemon at any moment while clients ask, again and again.
func trySIGTERM(ctx context.Context, o options) (*section, error) {
	all := &endings{outcomes: make(tally), wrong: make(tally)}
	random := rand.New(rand.NewPCG(1, 2))
	for range o.sigterms {
		if err := endOnce(ctx, o, 50*time.Millisecond+time.Duration(random.Int64N(int64(500*time.Millisecond))), all); err != nil {
			return nil, err
		}
	}
	return all.section(o), nil
}

// endings are what came of all ends.
type endings struct {
	mu       sync.Mutex
	outcomes tally
	wrong    tally
	took     []time.Duration
	failed   []string // ends of the daemon that were not right
}

func (e *endings) section(o options) *section {
	s := &section{figures: []figure{
		told("SIGTERM under load", "%d times, %d clients", len(e.took), sigtermClients),
		told("requests", "%v", e.outcomes),
		wants("requests that were neither answered nor refused", e.wrong.String(), "none", e.wrong.sum() == 0),
		wants("ends with another exit code than 0, or too late", fmt.Sprint(len(e.failed)), "none", len(e.failed) == 0),
		wants("the longest end", milliseconds(measuring.Percentile(e.took, 100)), "within 5 s", measuring.Percentile(e.took, 100) <= sigtermWithin),
		told("the median end", "%s", milliseconds(measuring.Median(e.took))),
	}}
	if e.failed != nil {
		t := &measuring.Table{Title: "sigterm: ends that were not right", Header: []string{"why"}}
		for _, why := range e.failed[:min(10, len(e.failed))] {
			t.Rows = append(t.Rows, []string{why})
		}
		s.tables = append(s.tables, t)
	}
	return s
}

// endOnce starts a daemon, has clients ask, ends it after some time and adds what came of that.
func endOnce(ctx context.Context, o options, after time.Duration, all *endings) error {
	d, err := serve(ctx, o.daemon, "--rate-limit", "0")
	if err != nil {
		return err
	}
	var told atomic.Bool // to end
	var asking sync.WaitGroup
	clients, stop := context.WithTimeout(ctx, after+2*endWithin)
	defer stop()
	for i := range sigtermClients {
		asking.Go(func() { endClient(clients, d, i, &told, all) })
	}
	if err := sleep(ctx, after); err != nil {
		return errors.Join(err, d.close())
	}
	told.Store(true)
	took, err := d.end(syscall.SIGTERM)
	asking.Wait()
	all.mu.Lock()
	defer all.mu.Unlock()
	all.took = append(all.took, took)
	if err != nil {
		all.failed = append(all.failed, err.Error())
	}
	return ctx.Err()
}

// endClient is client i of a daemon that is told to end. Of ten clients six ask on a connection that they keep, three on a
// new one each time, and one now and then.
func endClient(ctx context.Context, d *daemon, i int, told *atomic.Bool, all *endings) {
	from := clientAddress(endClients, byte(1+i))
	random := rand.New(rand.NewPCG(3, uint64(i)))
	var c *client
	var asked time.Time // the last request, or the connection: the daemon has heard of this client since
	for ctx.Err() == nil {
		wasTold, isNew := told.Load(), c == nil
		if isNew {
			asked = time.Now()
			var err error
			if c, err = dial(ctx, from, d.address); err != nil {
				all.count(refusal(err, wasTold || told.Load()))
				return
			}
		}
		silent := time.Since(asked)
		asked = time.Now()
		a, err := c.ask(getConnections, false)
		outcome, right := judgeEnd(a, err, silent, told.Load())
		if !right && isNew {
			outcome += ", on a new connection"
		}
		all.count(outcome, right)
		if err != nil || a.last || i%10 >= 6 && i%10 < 9 {
			c.close()
			c = nil
		}
		if err != nil && !right {
			return
		}
		if i%10 == 9 {
			_ = sleep(ctx, 50*time.Millisecond+time.Duration(random.Int64N(int64(800*time.Millisecond))))
		}
	}
	if c != nil {
		c.close()
	}
}

func (e *endings) count(outcome string, right bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if right {
		e.outcomes[outcome]++
	} else {
		e.wrong[outcome]++
	}
}

// refusal tells what it is that no connection was made, and whether that is right.
func refusal(err error, told bool) (outcome string, right bool) {
	if told && errors.Is(err, syscall.ECONNREFUSED) {
		return "refused", true
	}
	return shortened(fmt.Errorf("connect: %w", err)), false
}

// judgeEnd tells what came of a request, and whether that is right: an answer, or, where nothing was asked for so long that
// the daemon may have closed the connection at the same moment, none.
func judgeEnd(a answer, err error, silent time.Duration, told bool) (outcome string, right bool) {
	switch {
	case err == nil && (a.status == http.StatusOK || a.status == http.StatusServiceUnavailable):
		return fmt.Sprint("status ", a.status), true
	case err == nil:
		return fmt.Sprint("status ", a.status), false
	case told && silent >= silence && errors.Is(err, errNoAnswer):
		return "closed after silence", true
	default:
		return shortened(err), false
	}
}
