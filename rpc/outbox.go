package rpc

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// How long the client of an answer may keep waiting those who need what the answer is made from, where the rest of it
// cannot be kept: evictAfter in all, and evictSteady one that reads steadily meanwhile. Whether it does is looked at again
// and again, and so is, each keepAgain, whether the rest can be kept.
const (
	evictAfter  = 2 * time.Second
	evictSteady = 5 * time.Second
	steadyAgain = 250 * time.Millisecond
	keepAgain   = 10 * time.Millisecond
)

// An outbox is the http.ResponseWriter of a handler that sends an answer in parts.
//
// Its maker waits until the client has taken the last part before it makes the next, so that an answer takes no more memory
// than one of them. But it holds the snapshot that they are made from meanwhile, and others may wait for that one's memory.
// When they do, it makes the rest of the answer without waiting, and the outbox keeps it for the client.
type outbox struct {
	http.ResponseWriter
	request *http.Request
	kept    *places    // for the parts that all outboxes keep
	spare   *sync.Pool // *[]byte: buffers of such parts that have been sent

	// Of what the parts to come are made from, and the maker's alone.
	wanted  <-chan struct{} // closed once others wait for it; nil: none do
	pressed time.Time       // when the maker has first seen that; the zero Time: it has not
	before  progress        // then

	mu    sync.Mutex
	more  sync.Cond
	begun bool          // there has been a part
	sent  int           // bytes
	parts []*part       // that have not been sent; the first is under way
	one   part          // where that stands which comes while there is none, as nearly all do
	room  [1]*part      // for parts, while it is the only one
	idle  chan struct{} // has a word for the maker once there are none any more
	err   error         // why no more are sent
	over  bool          // no more will come
	ended chan struct{} // closed when the goroutine that sends has ended
}

// part is a part of an answer, with its place if it is kept.
type part struct {
	bytes []byte
	place *place
}

func newOutbox(w http.ResponseWriter, r *http.Request, kept *places, spare *sync.Pool) *outbox {
	o := &outbox{ResponseWriter: w, request: r, kept: kept, spare: spare}
	o.more.L, o.parts = &o.mu, o.room[:0]
	return o
}

// send sends b, which is the outbox's from then on, and returns a buffer for what follows. The error is that of the client's
// connection; it can be one of an earlier part.
func (o *outbox) send(b []byte) ([]byte, error) {
	sent := o.add(b)
	select {
	case <-o.idle:
		return b[:0], o.failure()
	case <-o.wanted:
	}
	if o.pressed.IsZero() {
		o.pressed, o.before = time.Now(), o.progress()
	}
	deadline, again := time.NewTimer(time.Until(o.pressed.Add(evictAfter))), time.NewTicker(keepAgain)
	defer deadline.Stop()
	defer again.Stop()
	for !o.keep(sent) {
		select {
		case <-o.idle:
			return b[:0], o.failure()
		case <-deadline.C:
			if o.readsSteadily() {
				deadline.Reset(steadyAgain)
				continue
			}
			o.cut()
		case <-again.C:
		}
	}
	return o.buffer(cap(b)), o.failure()
}

// progress is how far an answer has come.
type progress struct {
	delivery
	sent int // bytes that were written, which is what there is to go by where the delivery is not known
}

// progress returns how far the answer has come.
func (o *outbox) progress() progress {
	p := progress{delivery: exchangeOf(o.request.Context()).delivery()}
	o.mu.Lock()
	defer o.mu.Unlock()
	p.sent = o.sent
	return p
}

// readsSteadily reports whether the client has read steadily since others wait, and not for too long.
func (o *outbox) readsSteadily() bool {
	elapsed, p := time.Since(o.pressed), o.progress()
	switch {
	case elapsed >= evictSteady:
		return false
	case !p.known:
		return float64(p.sent-o.before.sent) >= steadyRead*elapsed.Seconds()
	}
	return p.whole || p.isSteady(o.before.delivery, elapsed)
}

// buffer returns an empty one of so many bytes. Garbage of half a megabyte for each part would double what a busy daemon takes.
func (o *outbox) buffer(size int) []byte {
	if b, ok := o.spare.Get().(*[]byte); ok && cap(*b) >= size {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// add hands b to the goroutine that sends, which says on idle when that and all before it are sent.
func (o *outbox) add(b []byte) *part {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.begun { // most answers are sent as a whole
		o.begun, o.idle, o.ended = true, make(chan struct{}, 1), make(chan struct{})
		go o.run()
	}
	p := &o.one
	if len(o.parts) > 0 {
		p = new(part)
	} else {
		select {
		case <-o.idle: // the maker has not waited for it
		default:
		}
	}
	*p = part{bytes: b}
	o.parts = append(o.parts, p)
	o.more.Signal()
	return p
}

// wait waits until all parts are sent.
func (o *outbox) wait() {
	if !o.isIdle() {
		<-o.idle
	}
}

func (o *outbox) isIdle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.parts) == 0
}

// run sends the parts, until there are no more and none will come.
func (o *outbox) run() {
	defer close(o.ended)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.parts) == 0 {
			if o.over {
				return
			}
			o.more.Wait()
		}
		p := o.parts[0]
		if o.err == nil {
			o.mu.Unlock()
			n, err := o.ResponseWriter.Write(p.bytes)
			o.mu.Lock()
			o.sent, o.err = o.sent+n, err
		}
		o.parts = slices.Delete(o.parts, 0, 1)
		if p.place != nil { // its maker has another buffer by now
			spare := p.bytes
			o.spare.Put(&spare)
			p.place.leave()
		}
		if len(o.parts) == 0 {
			o.idle <- struct{}{} // for which there is room: add takes the last one out
		}
	}
}

// keep gives a part a place of its own, if there is one and the part has not been sent.
func (o *outbox) keep(p *part) bool {
	place, ok := o.kept.take(o.request.Context())
	if !ok {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.parts) == 0 { // it has just been sent
		place.leave()
		return false
	}
	p.place = place
	return true
}

func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// madeFrom is called when the parts to come are made from something else, for which others wait once wanted is closed; nil: from
// nothing that they could wait for.
func (o *outbox) madeFrom(wanted <-chan struct{}) { o.wanted, o.pressed = wanted, time.Time{} }

// Write sends b, once all parts have been sent.
func (o *outbox) Write(b []byte) (int, error) {
	o.wait()
	if err := o.failure(); err != nil {
		return 0, err
	}
	return o.ResponseWriter.Write(b)
}

// cut ends what is being sent.
func (o *outbox) cut() {
	if of := exchangeOf(o.request.Context()); of != nil {
		of.cutOff()
		return
	}
	_ = http.NewResponseController(o.ResponseWriter).SetWriteDeadline(time.Now()) // one that has no deadlines has no client either
}

// close waits until nothing is sent any more. What has not been sent by now belongs to an answer that broke off.
func (o *outbox) close() {
	if !o.begun {
		return
	}
	if !o.isIdle() {
		o.cut()
	}
	o.mu.Lock()
	o.over = true
	o.more.Signal()
	o.mu.Unlock()
	<-o.ended
}

// Unwrap is for [http.ResponseController].
func (o *outbox) Unwrap() http.ResponseWriter { return o.ResponseWriter }
