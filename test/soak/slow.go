//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// slowP99 is what 99 of 100 answers to an honest client may take beside the slow ones.
const slowP99 = 50 * time.Millisecond

// honestPause makes an honest client ask 20 times a second at the most.
const honestPause = 50 * time.Millisecond

// trySlow asks the daemon, as it is without flags, while it has very many clients that are slow.
func trySlow(ctx context.Context, o options) (_ *section, err error) {
	d, err := serve(ctx, o.daemon)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	aside := min(5*time.Second, o.slowFor)
	before := askHonestly(ctx, d, aside)
	// At 2,000 a second the queue of the listener does not overflow.
	ramp := time.Duration(o.slow) * time.Second / 2000
	slow, err := startChild[slowNews](ctx, slowCommand, "-server", d.address.String(), "-clients", fmt.Sprint(o.slow), "-ramp", ramp.String(), "-again", o.slowAgain.String())
	if err != nil {
		return nil, err
	}
	var news slowNews
	for err == nil && news.Tried < o.slow {
		news, err = slow.next(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, slow.close())
	}
	begin := news
	sampling, stop := context.WithCancel(ctx)
	var most usage
	var sampled sync.WaitGroup
	sampled.Go(func() { most = d.most(sampling) })
	during := askHonestly(ctx, d, o.slowFor)
	stop()
	sampled.Wait()
	news, err = slow.next(ctx) // at the most a second old
	if err := errors.Join(err, slow.close(), ctx.Err()); err != nil {
		return nil, err
	}
	after := askHonestly(ctx, d, aside)
	return slowSection(o, before, during, after, begin, news, most), nil
}

// honestly is how two clients were treated that asked at the same time.
type honestly struct{ kept, anew *experience }

// askHonestly has two clients ask, one on a connection that it keeps and one that connects each time.
func askHonestly(ctx context.Context, d *daemon, lasting time.Duration) (both honestly) {
	var asking sync.WaitGroup
	asking.Go(func() {
		both.kept = honest{from: clientAddress(honestClients, 1), to: d.address, kept: true, pause: honestPause}.ask(ctx, lasting)
	})
	asking.Go(func() {
		both.anew = honest{from: clientAddress(honestClients, 2), to: d.address, pause: honestPause}.ask(ctx, lasting)
	})
	asking.Wait()
	return both
}

// most returns the most that the daemon takes until ctx is done.
func (d *daemon) most(ctx context.Context) (most usage) {
	for {
		if u, err := d.usage(); err == nil {
			most.resident, most.peak = max(most.resident, u.resident), u.peak
			most.files, most.threads = max(most.files, u.files), max(most.threads, u.threads)
		}
		if sleep(ctx, 200*time.Millisecond) != nil {
			return most
		}
	}
}

func slowSection(o options, before, during, after honestly, begin, end slowNews, most usage) *section {
	within := func(what string, e *experience) figure {
		return o.timed(what, e.String(), "p99 under 50 ms", len(e.took) > 0 && e.p99() < slowP99)
	}
	wrong := make(tally)
	for _, h := range []honestly{before, during, after} {
		for _, e := range []*experience{h.kept, h.anew} {
			for name, n := range e.wrong {
				wrong[name] += n
			}
		}
	}
	refused := wrong[isBusy]
	delete(wrong, isBusy)
	return &section{figures: []figure{
		told("slow clients", "%d: %d hold a connection, %d came again each second, %d closed each second", o.slow, end.Held,
			perSecond(end.Opened-begin.Opened, o.slowFor), perSecond(end.Closed-begin.Closed, o.slowFor)),
		wants("all of them have come", fmt.Sprintf("%d, %d could not connect", end.Tried, end.Failed), fmt.Sprintf("%d, none", o.slow), end.Tried == o.slow && end.Failed == 0),
		told("honest client before, one connection", "%v", before.kept),
		told("honest client before, new connections", "%v", before.anew),
		within("honest client beside them, one connection", during.kept),
		within("honest client beside them, new connections", during.anew),
		told("honest client after, one connection", "%v", after.kept),
		told("honest client after, new connections", "%v", after.anew),
		o.timed("refused to the honest clients with 503", fmt.Sprint(refused), "none", refused == 0),
		wants("what else was no answer to them", wrong.String(), "none", wrong.sum() == 0),
		told("connections that the one that keeps its own had", "%d", during.kept.opened),
		told("daemon", "%s resident at the most, %d files, %d threads", mebibytes(most.peak), most.files, most.threads),
	}}
}

func perSecond(n int, d time.Duration) int { return int(float64(n) / d.Seconds()) }
