//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// sampler measures what a daemon costs that nobody asks.
func sampler(ctx context.Context, o options) (*section, error) {
	const most, at = 1.0, 10_000 // percent of a core, sockets
	found := new(section)
	t := &measuring.Table{Title: "A daemon that nobody asks", Header: []string{"sockets", "of one core"}}
	for _, sockets := range []int{0, at, 100_000} {
		percent, err := idleShare(ctx, o, sockets)
		if err != nil {
			return nil, err
		}
		share := fmt.Sprintf("%.2f %%", percent)
		t.Rows = append(t.Rows, []string{fmt.Sprint(o.holding(sockets).sockets()), share})
		if sockets == at {
			found.targets = append(found.targets, target{
				fmt.Sprintf("sampler at %d sockets", at), share, fmt.Sprintf("less than %.0f %% of one core", most), percent < most,
			})
		}
	}
	found.tables = append(found.tables, t)
	return found, nil
}

// idleShare returns how many percent of one core an idle daemon takes on a host
// of about so many sockets.
func idleShare(ctx context.Context, o options, sockets int) (percent float64, err error) {
	made, err := makeSockets(ctx, o.holding(sockets))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, made.close()) }()
	d, err := serve(ctx, o.daemon)
	if err != nil {
		return 0, err
	}
	defer d.close()
	if err := sleep(ctx, startWithin); err != nil {
		return 0, err
	}
	moment := d.spent
	if sockets >= farApart {
		moment = func() (spent, error) { return d.afterDump(ctx) }
	}
	from, err := moment()
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, o.idle); err != nil {
		return 0, err
	}
	to, err := moment()
	if err != nil {
		return 0, err
	}
	return 100 * float64(to.used-from.used) / float64(to.at.Sub(from.at)), nil
}

const (
	// startWithin is how long the daemon may take to become idle.
	startWithin = 2 * time.Second
	// farApart is how many sockets let the daemon wait so long between dumps that
	// it counts how many of them there are within the time that it is watched,
	// which then is from the end of one to the end of another.
	farApart = 5_000
)

// spent is how long a process was on a core until some moment.
type spent struct {
	at   time.Time
	used time.Duration
}

func (p *process) spent() (spent, error) {
	used, err := p.cpuTime()
	return spent{time.Now(), used}, err
}

// afterDump waits until the daemon has ended a dump of many sockets, some moments
// ago.
func (p *process) afterDump(ctx context.Context) (now spent, err error) {
	const (
		every   = 20 * time.Millisecond
		working = every / 4 // that the daemon was on a core while it made a dump
		quiet   = 10        // times in a row at which it did not, after the dump
		most    = 2 * time.Minute
	)
	last, err := p.spent()
	began, still := last.at, -1
	for err == nil && still < quiet {
		if err = sleep(ctx, every); err != nil {
			break
		}
		if now, err = p.spent(); err != nil {
			break
		}
		switch {
		case now.used-last.used > working:
			still = 0
		case still >= 0:
			still++
		case now.at.Sub(began) > most:
			err = fmt.Errorf("the daemon has made no dump within %s", most)
		}
		last = now
	}
	return now, err
}

// sleep waits, but no longer than for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
