package rpc

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// How long a client may take to read: what it is sent at once may take writeTimeout and, of an answer that is not small, at
// slowestRead, in bytes a second, the time that it needs. Who keeps up with that is not cut off, however long the answer is.
const (
	writeTimeout = 10 * time.Second
	slowestRead  = 64 << 10
)

// errCutOff is why nothing more is read from a client, or written to it.
var errCutOff = errors.New("cut off: the client was slow, and others waited")

// An exchange is a request and its answer, as far as a [Server] knows of them: whether they wait for the client, and since
// when. It is the http.ResponseWriter that handlers get. A nil exchange, which is that of a request that no Server has
// brought, never waits.
type exchange struct {
	http.ResponseWriter
	control    *http.ResponseController
	connection *connection

	multiplexed bool        // with others, over HTTP/2
	surplus     bool        // on a connection that is one too many for its client
	crowded     bool        // on one of HTTP/2, for whose next request there was no room
	isLast      func() bool // the answer is to be the last of its connection
	begun       bool        // the answer has
	status      int         // of the answer; 0: none has been said
	call        loggedCall  // what is asked for

	mu       sync.Mutex  // also held while a deadline is set, which must not be once the handler has returned
	waiting  time.Time   // since when it waits for the client; the zero Time: it does not
	reading  bool        // what it waits for is the body
	unseen   int         // bytes since the last look at the delivery that were written, or are to be by the write under way
	looks    *deliveries // at the delivery; nil: there was none, as of most answers
	first    delivery    // at the first look, which is before much has been written
	last     delivery    // at the last look before the write under way
	written  int         // bytes
	hasRead  bool        // the client has taken flushFrom of the answer
	deadline time.Time   // of all writes, for who asked for one
	cutBody  bool        // the client has lost its place while its body was read
	cut      bool        // it has lost it later, or is not worth more waiting for another reason
	over     bool        // the handler has returned
}

// exchangeKey is that of an exchange in the context of its request, where others can have the connection at the same time.
type exchangeKey struct{}

// exchangeOf returns the exchange of the request that ctx is of, nil if there is none. It is for the handler of the request.
func exchangeOf(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		return c.exchange
	}
	return nil
}

// exchanges makes an exchange of each request to next. stopping says whether all connections are to end. Over HTTP/1 the
// connection has it: to put it into the request's context takes a copy of the request, a fifteenth of what a request of few
// sockets leaves behind.
func exchanges(next http.Handler, stopping func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connectionKey{}).(*connection)
		e := &exchange{ResponseWriter: w, control: http.NewResponseController(w), connection: c, multiplexed: r.ProtoMajor == 2}
		e.isLast = func() bool { return stopping() || c.isWanted() }
		surplus, ok := c.begin(e.multiplexed)
		e.surplus, e.crowded = surplus, !ok
		defer e.end()
		if r.Body == http.NoBody {
			e.bodyIsRead(r)
		}
		if e.multiplexed {
			r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
		} else {
			c.exchange = e
			defer func() { c.exchange = nil }()
		}
		next.ServeHTTP(e, r)
		e.begin() // if it has no body
	})
}

// begin is called before the first byte of the answer: now is known whether it is the last. What net/http keeps until the
// handler has returned, because it is little, is sent before the deadline that is the last one then.
func (e *exchange) begin() {
	if e.begun {
		return
	}
	e.begun = true
	if e.isLast() {
		e.Header().Set("Connection", "close")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.extend(0) // it fails only if the connection has ended
}

// extend sets the deadline of a write of n bytes.
func (e *exchange) extend(n int) error {
	deadline := time.Now().Add(writeTimeout + time.Duration(n)*time.Second/slowestRead)
	switch {
	case e.cut:
		return errCutOff
	case !e.deadline.IsZero() && e.deadline.Before(deadline):
		deadline = e.deadline
	}
	return e.control.SetWriteDeadline(deadline)
}

// WriteHeader begins the answer.
func (e *exchange) WriteHeader(status int) {
	e.begin()
	if e.status == 0 && status >= http.StatusOK {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

// end is called when the handler has returned.
func (e *exchange) end() {
	e.mu.Lock()
	e.over = true
	e.mu.Unlock()
	e.connection.end()
}

// reads is called before the body is read; the function that it returns when it is.
func (e *exchange) reads() (done func()) {
	if e == nil {
		return func() {}
	}
	now := time.Now()
	e.wait(now, true)
	e.connection.wait(1, 0)
	if !e.multiplexed {
		_ = e.control.SetWriteDeadline(now.Add(readTimeout)) // of 100 Continue; it fails only if the connection has ended
	}
	return func() {
		e.wait(time.Time{}, false)
		e.connection.wait(-1, 0)
	}
}

func (e *exchange) wait(since time.Time, reading bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting, e.reading = since, reading
}

// bodyIsRead ends the time that the client has for its request. Over HTTP/1 net/http reads on, to see whether the client
// leaves, and would take the end of that time for it.
func (e *exchange) bodyIsRead(r *http.Request) {
	if e != nil && r.ProtoMajor == 1 {
		_ = e.SetReadDeadline(time.Time{}) // it fails only if the connection has ended
	}
}

// Write sends b, or as much of it as net/http does not keep for the next Write.
func (e *exchange) Write(b []byte) (n int, err error) {
	e.begin()
	for len(b) > flushFrom+maxRecords {
		m, err := e.write(b[:flushFrom])
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	m, err := e.write(b)
	return n + m, err
}

func (e *exchange) write(b []byte) (int, error) {
	if err := e.beginWrite(len(b)); err != nil {
		return 0, err
	}
	e.connection.wait(0, 1)
	defer func() {
		e.wait(time.Time{}, false)
		e.connection.wait(0, -1)
	}()
	if !e.isWhole(b) {
		n, err := e.ResponseWriter.Write(b)
		e.took(n)
		return n, err
	}
	return e.connection.atOnce(func() (int, error) {
		n, err := e.ResponseWriter.Write(b)
		if err != nil {
			return n, err
		}
		return n, e.control.Flush()
	})
}

// What net/http keeps of an answer before it sends the first bytes (bufferBeforeChunkingSize), and how much of one is worth
// a copy, so that it leaves in one piece.
const (
	heldByServer = 2048
	worthACopy   = 64 << 10
)

// isWhole reports whether b is all of an answer, and one that net/http would send in pieces. Each is a system call here, and
// wakes the client for a part that is of no use to it.
func (e *exchange) isWhole(b []byte) bool {
	return !e.multiplexed && len(b) > heldByServer && len(b) <= worthACopy && e.Header().Get("Content-Length") == strconv.Itoa(len(b))
}

// took is called when n bytes have been written. Of a connection that tells nothing of its client, and of a stream of HTTP/2, it
// is all there is to go by.
func (e *exchange) took(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written += n
	e.hasRead = e.hasRead || !e.first.known && e.written >= flushFrom
}

// beginWrite is called before n bytes are written.
func (e *exchange) beginWrite(n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.extend(n); err != nil {
		return err
	}
	e.waiting = time.Now()
	if e.unseen += n; e.unseen > worthACopy && !e.multiplexed {
		e.unseen, e.last = 0, e.look()
		if !e.first.known {
			e.first = e.last
		}
		e.sees(e.last)
	}
	return nil
}

// look looks at the delivery.
func (e *exchange) look() delivery {
	if e.looks == nil {
		e.looks = new(deliveries)
	}
	return e.looks.of(e.connection.Conn)
}

// sees is called with each look at the delivery.
func (e *exchange) sees(d delivery) {
	e.hasRead = e.hasRead || d.since(e.first) >= flushFrom
}

// late returns for how long the exchange has waited for its client, if that is at least some time and the client does not read
// steadily.
func (e *exchange) late(now time.Time, atLeast time.Duration) time.Duration {
	if e == nil {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	late := now.Sub(e.waiting)
	switch {
	case e.waiting.IsZero() || late < atLeast:
		return 0
	case e.hasRead && late < pausedReader: // before what costs a system call: who finds no place asks it of all
		return 0
	case e.reading || e.multiplexed:
		return late
	}
	d := e.look()
	e.sees(d)
	switch {
	case d.whole: // what waits is the write, for a processor
		return 0
	case e.hasRead && late < pausedReader:
		return 0
	case d.isSteady(e.last, late): // as far as it has a processor
		return 0
	}
	return late
}

// delivery returns how far the answer has come.
func (e *exchange) delivery() delivery {
	if e == nil || e.multiplexed {
		return delivery{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return delivery{}
	}
	return e.look()
}

// cutOff lets an exchange wait for its client no longer. One that reads a body can still be answered.
func (e *exchange) cutOff() {
	e.mu.Lock()
	defer e.mu.Unlock()
	past := time.Now().Add(-time.Second)
	// What is not looked at fails only if the connection has ended.
	switch {
	case e.over:
	case e.reading:
		e.cutBody = true
		_ = e.control.SetReadDeadline(past)
	default:
		e.cut = true
		_ = e.control.SetWriteDeadline(past)
	}
}

// hasLostItsBody reports whether cutOff has ended the reading of the body.
func (e *exchange) hasLostItsBody() bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cutBody
}

// reset returns what resets the connection, nil if it cannot be.
func (e *exchange) reset() func() {
	if e == nil {
		return nil
	}
	return e.connection.resetter()
}

// SetWriteDeadline is what [http.ResponseController] calls. A deadline counts for all writes to come.
func (e *exchange) SetWriteDeadline(deadline time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return os.ErrDeadlineExceeded
	}
	e.deadline = deadline
	return e.control.SetWriteDeadline(deadline)
}

// SetReadDeadline is what [http.ResponseController] calls.
func (e *exchange) SetReadDeadline(deadline time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || e.cutBody {
		return os.ErrDeadlineExceeded
	}
	return e.control.SetReadDeadline(deadline)
}

// Flush makes an exchange an http.Flusher.
func (e *exchange) Flush() { _ = e.control.Flush() }

// Unwrap is for [http.ResponseController].
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }
