//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// overloadClients is as many as get in: of the 1,000 connections that there may be some are for others.
	overloadClients = 900
	// overloadMemory is twice, for the garbage that Go lets pile up, what the requests and connections can hold (64 parts of
	// answers of 512 KiB, 32 more for clients that are slow, 1,000 connections of 20 KiB), and 64 MiB for all else.
	overloadMemory = 200 << 20
	// calmWithin is within what time of the end all is to be as before, and calmAfter for how long that is looked at.
	calmWithin, calmAfter = time.Second, 3 * time.Second
	// An answer is as before if it takes no longer than what took the longest of a hundred before by so much, and so many times.
	calmMore, calmTimes = 10 * time.Millisecond, 2
	// calmAnswers are that in a row.
	calmAnswers = 10
)

// overloaded is what was found.
type overloaded struct {
	sockets               int
	capacity              float64 // answers a second
	clients               int     // with whom it is that
	offered, made         float64 // requests a second
	answers, wrong        tally
	before, during, after *experience
	idle, most            usage
}

// tryOverload asks for more than can be answered.
func tryOverload(ctx context.Context, o options) (_ *section, err error) {
	d, err := serve(ctx, o.daemon, "--rate-limit", "0") // or nothing would be asked too much
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	// So many that an answer costs more than a refusal: on a host of a few sockets nobody can ask so much.
	host, err := startChild[passNews](ctx, passCommand, "-stay", fmt.Sprint(o.overloadPairs))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, host.close()) }()
	if _, err := host.next(ctx); err != nil {
		return nil, err
	}
	if err := allowFiles(overloadClients + 256); err != nil {
		return nil, err
	}
	found := &overloaded{sockets: 2 * o.overloadPairs}
	if found.idle, err = d.usage(); err != nil {
		return nil, err
	}
	aside := min(3*time.Second, o.overload/2)
	for _, clients := range []int{8, 32, 60} {
		perSecond, err := capacity(ctx, d, clients, aside)
		if err != nil {
			return nil, err
		}
		if perSecond > found.capacity {
			found.capacity, found.clients = perSecond, clients
		}
	}
	someone := honest{from: clientAddress(honestClients, 1), to: d.address, kept: true, pause: 5 * time.Millisecond}
	found.before = someone.ask(ctx, aside)
	if err := found.flood(ctx, d, o, someone); err != nil {
		return nil, err
	}
	return found.section(o), nil
}

// capacity returns how many requests a second are answered when so many clients ask again as soon as they have an answer.
func capacity(ctx context.Context, d *daemon, clients int, lasting time.Duration) (perSecond float64, err error) {
	f, err := newFlood(ctx, d.address, clients, getConnections)
	if err != nil {
		return 0, err
	}
	defer f.close()
	began := time.Now()
	if err := first(func() error { return f.run(ctx, atAnyRate, lasting) }); err != nil {
		return 0, err
	}
	if f.wrong.sum() > 0 {
		return 0, fmt.Errorf("%d clients: %v", clients, f.wrong)
	}
	return float64(f.answers["200"]) / time.Since(began).Seconds(), nil
}

func (found *overloaded) flood(ctx context.Context, d *daemon, o options, someone honest) error {
	f, err := newFlood(ctx, d.address, overloadClients, getConnections)
	if err != nil {
		return err
	}
	defer f.close()
	found.offered = o.times * found.capacity
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var beside sync.WaitGroup
	beside.Go(func() { found.most = d.most(watching) })
	beside.Go(func() {
		found.during = honest{from: clientAddress(honestClients, 2), to: d.address, kept: true, pause: honestPause}.ask(watching, o.overload-100*time.Millisecond)
	})
	began := time.Now()
	if err := first(func() error { return f.run(ctx, found.offered, o.overload) }); err != nil {
		return err
	}
	found.made = float64(f.sent) / time.Since(began).Seconds()
	var drained sync.WaitGroup
	drained.Go(func() { err = first(func() error { return f.drain(ctx, 2*time.Second) }) })
	found.after = someone.ask(ctx, calmAfter)
	drained.Wait()
	stop()
	beside.Wait()
	found.answers, found.wrong = f.answers, f.wrong
	return errors.Join(err, ctx.Err())
}

func (found *overloaded) section(o options) *section {
	wrong := make(tally)
	for _, one := range []tally{found.wrong, found.before.wrong, found.during.wrong, found.after.wrong} {
		for name, n := range one {
			if name != isRated && name != isBusy {
				wrong[name] += n
			}
		}
	}
	refused := 0
	for name, n := range found.answers {
		switch name {
		case "429", "503":
			refused += n
		case "200":
		default:
			wrong["status "+name] += n
		}
	}
	limit := max(calmTimes*found.before.p99(), found.before.p99()+calmMore)
	calm, isCalm := found.after.calm(limit)
	whole := found.made >= 0.95*found.offered
	return &section{figures: []figure{
		told("capacity", "%.0f answers a second with %d clients, on a host of %d sockets", found.capacity, found.clients, found.sockets),
		o.timed(fmt.Sprintf("offered for %s", o.overload), fmt.Sprintf("%.0f a second, of which were sent %.0f, %.1f x the capacity", found.offered, found.made, found.made/found.capacity),
			fmt.Sprintf("%g x", o.times), whole),
		told("answers", "%v", found.answers),
		wants("refused by 429 and 503", fmt.Sprint(refused), "some", refused > 0),
		wants("other errors", wrong.String(), "none", wrong.sum() == 0),
		wants("resident memory at the most", fmt.Sprintf("%s, %s before", mebibytes(found.most.peak), mebibytes(found.idle.resident)), "at most "+mebibytes(overloadMemory), found.most.peak <= overloadMemory),
		told("files and threads at the most", "%d, %d", found.most.files, found.most.threads),
		told("honest client before", "%v", found.before),
		told("honest client meanwhile, 20 requests a second", "%v; not answered: %v", found.during, found.during.wrong),
		told("honest client after", "%v; not answered: %v", found.after, found.after.wrong),
		o.timed(fmt.Sprintf("%d answers in a row within %s of it (p99 before, and as much or 10 ms more)", calmAnswers, milliseconds(limit)),
			"from "+milliseconds(calm)+" after the end on", "within 1 s", isCalm && calm <= calmWithin),
	}}
}

// calm returns how long after the beginning the first of so many answers in a row was asked for that took no longer than limit.
func (e *experience) calm(limit time.Duration) (after time.Duration, found bool) {
	row := 0
	for i, a := range e.all {
		if !a.right || a.took > limit {
			row = 0
			continue
		}
		if row++; row == calmAnswers {
			return e.all[i-row+1].asked, true
		}
	}
	return 0, false
}
