package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// A Reply is an answer under way. Bytes are appended to Buf; where there is a client to send them to, a long answer
// leaves while it is made, so that it is never in memory as a whole and arrives that much earlier.
type Reply struct {
	Buf []byte

	send func([]byte) error // nil: the answer is only gathered
	cut  func()             // ends a send that waits for the client; nil with send
	sent bool
}

// A StreamHandler answers one method as a [Handler] does, but to a Reply. It calls Flush now and then, and returns its
// error.
type StreamHandler func(ctx context.Context, params json.RawMessage, out *Reply) error

// flushFrom is how many bytes are worth a write of their own, and so about what a Reply keeps of a long answer. net/http
// allocates for each write, and each takes some microseconds; an answer of a small host is sent as a whole, with its
// length.
const flushFrom = 512 << 10

// maxRecord is more than what is appended between two calls of Flush as a rule.
const maxRecord = 4 << 10

// isLong is from where on an answer is taken to become a long one.
const isLong = flushFrom / 8

// Flush sends what Buf holds if it is enough to be worth it. The error is that of the client's connection.
func (r *Reply) Flush() error {
	if r.send == nil || len(r.Buf) < isLong {
		return nil
	}
	if cap(r.Buf) < flushFrom {
		// Once and to the size, where append would grow it step by step and too far.
		r.Buf = append(make([]byte, 0, flushFrom+maxRecord), r.Buf...)
	}
	if len(r.Buf) < flushFrom {
		return nil
	}
	err := r.send(r.Buf)
	r.sent, r.Buf = true, r.Buf[:0]
	return err
}

// newReply returns a Reply to a request, whose bytes are appended to buf. They are sent as the body of a 200 as soon as
// there are enough of them. A client that speaks HTTP/1.0 could not tell a part of an answer from the whole.
func newReply(w http.ResponseWriter, r *http.Request, buf []byte) *Reply {
	reply := &Reply{Buf: buf}
	if !r.ProtoAtLeast(1, 1) || r.Method == http.MethodHead {
		return reply
	}
	reply.send = func(b []byte) error {
		if !reply.sent {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
		}
		_, err := w.Write(b)
		return err
	}
	reply.cut = func() {
		// A writer that has no deadlines is bounded by the server's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now())
	}
	return reply
}

// cutOff lets the client wait no longer once ctx is done: what is being sent, and all that follows, fails. The returned
// function ends that.
func (r *Reply) cutOff(ctx context.Context) (stop func() bool) {
	if r.cut == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, r.cut)
}

// end sends the rest of the answer, or all of it with the given status. Its error is not looked at: it means that the
// client has gone.
func (r *Reply) end(w http.ResponseWriter, status int) {
	if !r.sent {
		writeJSON(w, status, r.Buf)
		return
	}
	_, _ = w.Write(r.Buf)
}

// abort breaks the connection of an answer that has begun and cannot be ended, so that the client does not take the part
// it has for the whole: over HTTP/1.1 the last chunk is missing, over HTTP/2 the stream is reset.
func (r *Reply) abort() { panic(http.ErrAbortHandler) }
