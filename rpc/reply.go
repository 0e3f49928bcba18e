package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"strconv"
)

// A Reply is an answer under way. Bytes are appended to Buf; where there is a client to send them to, a long answer
// leaves while it is made, so that it is never in memory as a whole and arrives that much earlier.
type Reply struct {
	Buf []byte

	send     func([]byte) ([]byte, error) // returns the next Buf; nil: the answer is only gathered
	madeFrom func(wanted <-chan struct{}) // makes send wait for the client no longer once that is closed; nil with send
	reset    func()                       // breaks the connection where its end alone would not tell; may be nil
	drop     bool                         // nobody reads the answer: only its length counts
	sent     bool                         // a part is on its way to the client
	left     int                          // how many bytes of the answer are no longer in Buf
	last     int                          // the size at which others last had their turn
}

// A StreamHandler answers one method as a [Handler] does, but to a Reply. It calls Flush now and then, and returns its
// error.
type StreamHandler func(ctx context.Context, params json.RawMessage, out *Reply) error

// flushFrom is how many bytes are worth a write of their own, and so about what a Reply keeps of a long answer. net/http
// allocates for each write, and each takes some microseconds; an answer of a small host is sent as a whole, with its
// length.
const flushFrom = 512 << 10

// maxRecords is more than what is appended between two calls of Flush as a rule: the records of a [unit].
const maxRecords = 16 << 10

// isLong is from where on an answer is taken to become a long one.
const isLong = flushFrom / 8

// A sendError is why a part of an answer did not reach its client: the client's affair, and not the method's.
type sendError struct{ err error }

func (e *sendError) Error() string { return "send a part of the answer: " + e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

// turn is how many bytes are made before others get their turn, about a tenth of a millisecond's worth. The scheduler gives
// it to them after ten milliseconds; with a long answer in each place, who wants a short one, or to connect, would wait for
// all of these.
const turn = 64 << 10

// Flush sends what Buf holds if it is enough to be worth it. The error is that of the client's connection.
func (r *Reply) Flush() error {
	if size := r.size(); size-r.last >= turn {
		r.last = size
		runtime.Gosched()
	}
	if len(r.Buf) < isLong || r.send == nil && !r.drop {
		return nil
	}
	if r.drop {
		r.left += len(r.Buf)
		r.Buf = r.Buf[:0]
		return nil
	}
	if cap(r.Buf) < flushFrom {
		// Once and to the size, where append would grow it step by step and too far.
		r.Buf = append(make([]byte, 0, flushFrom+maxRecords), r.Buf...)
	}
	if len(r.Buf) < flushFrom {
		return nil
	}
	r.sent = true
	r.left += len(r.Buf)
	var err error
	if r.Buf, err = r.send(r.Buf); err != nil {
		return &sendError{err}
	}
	return nil
}

// size is how many bytes the answer has so far.
func (r *Reply) size() int { return r.left + len(r.Buf) }

// rewind drops all but the first size bytes, unless some of the others have left.
func (r *Reply) rewind(size int) bool {
	if size < r.left {
		return false
	}
	r.Buf = r.Buf[:size-r.left]
	return true
}

// newReply returns a Reply to a request, whose bytes are appended to buf. They are sent as the body of a 200 as soon as
// there are enough of them.
//
// A client that speaks HTTP/1.0 takes the end of the connection for the end of the answer. It is sent parts only where
// one that cannot be ended can be told from the whole by a reset.
func newReply(w http.ResponseWriter, r *http.Request, buf []byte) *Reply {
	reply := &Reply{Buf: buf}
	if r.Method == http.MethodHead {
		reply.drop = true
		return reply
	}
	if !r.ProtoAtLeast(1, 1) {
		if reply.reset = exchangeOf(r.Context()).reset(); reply.reset == nil {
			return reply
		}
	}
	begun := false
	box, ok := w.(*outbox)
	if !ok {
		return reply // of a test that asks no server
	}
	reply.send = func(b []byte) ([]byte, error) {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
		}
		return box.send(b)
	}
	reply.madeFrom = box.madeFrom
	return reply
}

// cutOff lets what follows of the answer be made without waiting for the client once ctx is done. The returned function ends
// that.
func (r *Reply) cutOff(ctx context.Context) (stop func()) {
	if r.madeFrom == nil {
		return func() {}
	}
	r.madeFrom(ctx.Done())
	return func() { r.madeFrom(nil) }
}

// end sends the rest of the answer, or all of it with the given status. Its error is not looked at: it means that the
// client has gone.
func (r *Reply) end(w http.ResponseWriter, status int) {
	switch {
	case r.drop:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(r.size()))
		w.WriteHeader(status)
	case r.sent:
		_, _ = w.Write(r.Buf)
	default:
		writeJSON(w, status, r.Buf)
	}
}

// abort breaks the connection of an answer that has begun and cannot be ended, so that the client does not take the part
// it has for the whole: over HTTP/1.0 it is reset, over HTTP/1.1 the last chunk is missing, over HTTP/2 the stream is reset.
func (r *Reply) abort() {
	if r.reset != nil {
		r.reset()
	}
	panic(http.ErrAbortHandler)
}
