package rpc

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// What a request may hold, in bytes, and of how many requests at once. Memory is what these bound; what they ask of the
// kernel does not grow with them, since they share dumps.
const (
	// maxAnswering is how many requests are answered, those of health, metrics and documents not counted. Each holds up to
	// flushFrom of its answer: 32 MiB, and on a host of a hundred sockets 3 MiB. On two processors 64 answers of a small
	// host take some 20 ms; more at once would only wait longer for each other.
	maxAnswering = 64
	// maxKept is how many parts of answers, flushFrom each, are kept for clients that are slow to take them: 16 MiB. See
	// outbox.
	maxKept = 32
	// maxLarge is how many bodies of more than smallBody are read, up to MaxBody each, and twice while its buffer grows.
	maxLarge = 16
)

// From when on a client that does not read, or of which nothing more comes, can lose its place to another.
const (
	slowReader = 250 * time.Millisecond
	slowWriter = time.Second
	// pausedReader is it for a client that has taken flushFrom of its answer: where all clients have no
	// processor for a moment, all of them would lose their places to those who ask then.
	pausedReader = time.Second
)

// places are for what only so many requests may do at once. There is no waiting for one.
type places struct {
	most    int
	patient time.Duration // from when on a client that is waited for can lose its place

	mu    sync.Mutex
	taken []*place
}

// place is that of one request, or of a part of its answer.
type place struct {
	of       *places
	exchange *exchange // may be nil
}

// take takes a place, if there is one: a free one, or that of the client that is waited for longest, which is cut off.
func (p *places) take(ctx context.Context) (mine *place, ok bool) {
	mine = &place{of: p, exchange: exchangeOf(ctx)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.taken) >= p.most {
		slowest := p.slowest(mine.exchange)
		if slowest < 0 {
			return nil, false
		}
		p.taken[slowest].exchange.cutOff()
		p.taken = slices.Delete(p.taken, slowest, slowest+1)
	}
	p.taken = append(p.taken, mine)
	return mine, true
}

// slowest returns the index of the place whose client is waited for longest, and longer than there is patience; -1 if there
// is none. Who asks does not cut itself off.
func (p *places) slowest(asking *exchange) int {
	slowest, longest := -1, p.patient
	now := time.Now()
	for i, other := range p.taken {
		if late := other.exchange.late(now, longest); late > 0 && other.exchange != asking {
			slowest, longest = i, late
		}
	}
	return slowest
}

// leave gives the place back. It may have been taken by another before.
func (p *place) leave() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if i := slices.Index(p.of.taken, p); i >= 0 {
		p.of.taken = slices.Delete(p.of.taken, i, i+1)
	}
}

// bounds are what the requests of a handler share.
type bounds struct {
	answering places
	kept      places
	spare     sync.Pool // of the outboxes
	large     places
	refused   func(Refusal)
}

func newBounds(refused func(Refusal)) *bounds {
	return &bounds{
		answering: places{most: maxAnswering, patient: slowReader},
		kept:      places{most: maxKept, patient: slowReader},
		large:     places{most: maxLarge, patient: slowWriter},
		refused:   refused,
	}
}

// answer answers a request in one of the places for that. If there is none, it is refused at once.
func (b *bounds) answer(f face, w http.ResponseWriter, r *http.Request, answer func(w http.ResponseWriter)) {
	place, ok := b.answering.take(r.Context())
	if !ok {
		b.refuse(f, w)
		return
	}
	defer place.leave()
	box := newOutbox(w, r, &b.kept, &b.spare)
	defer box.close()
	answer(box)
}

// admit bounds next, which reads no body.
func (b *bounds) admit(f face, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.answer(f, w, r, func(w http.ResponseWriter) { next.ServeHTTP(w, r) })
	})
}

// refuse answers 503.
func (b *bounds) refuse(f face, w http.ResponseWriter) {
	b.refused(RefusedBusy)
	f.writeBusy(w)
}
