package main

import (
	"context"
	"sync"
	"time"
)

// sight is what one look saw.
type sight struct {
	listeners bool
	entries   []entry
	at        time.Time // when it was asked for
	err       error
}

// looker looks at a source again and again.
type looker struct {
	from source
	o    lookOptions
	wake chan struct{} // what is to be looked at has changed

	mu        sync.Mutex
	listeners bool
	paused    bool
}

func newLooker(from source, o *lookOptions) *looker {
	return &looker{from: from, o: *o, wake: make(chan struct{}, 1), listeners: o.listeners}
}

// tell says what is to be looked at from now on, and whether at all.
func (l *looker) tell(listeners, paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners, l.paused = listeners, paused
	select {
	case l.wake <- struct{}{}:
	default: // it has been told already
	}
}

// look takes one look.
func (l *looker) look(ctx context.Context) sight {
	l.mu.Lock()
	o := l.o
	o.listeners = l.listeners
	l.mu.Unlock()
	if o.listeners { // they have no direction and no other end
		o.filter = withoutConnectionFilters(o.filter)
	}
	seen := sight{listeners: o.listeners, at: time.Now()}
	seen.entries, seen.err = look(ctx, l.from, &o)
	return seen
}

// run looks every interval, the first time after one, and at once when it is told of something else. It ends with ctx.
func (l *looker) run(ctx context.Context, send func(sight)) {
	timer := time.NewTimer(l.o.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused {
			timer.Stop()
			continue
		}
		timer.Reset(l.o.interval) // from look to look, however long one takes
		seen := l.look(ctx)
		if ctx.Err() != nil {
			return
		}
		send(seen)
	}
}
