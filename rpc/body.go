package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

const (
	// MaxBody is how many bytes the body of a request may have.
	MaxBody = 1 << 20

	// smallBody is how many bytes of a body are read of as many requests as there may be connections. It is many times
	// what a call needs; only so many requests may have more, see maxLarge.
	smallBody = 16 << 10

	// maxPooledBuffer is the largest answer whose buffer is kept for the next one, about 6000 connections. Larger
	// answers are rare enough to be left to the garbage collector; kept, one of them would hold its memory for as long
	// as the daemon is busy.
	maxPooledBuffer = 4 << 20
)

// answerBody reads the body of r and answers it as answer does. If it cannot be read, the answer is an error.
func (b *bounds) answerBody(f face, w http.ResponseWriter, r *http.Request, answer func(w http.ResponseWriter, body []byte)) {
	var body bytes.Buffer
	large, err := b.readBody(&body, w, r)
	if large != nil {
		defer large.leave()
	}
	if err != nil {
		b.writeBodyError(f, w, err)
		return
	}
	b.answer(f, w, r, func(w http.ResponseWriter) { answer(w, body.Bytes()) })
}

// errBusy is why a body is not read on.
var errBusy = errors.New("as many large bodies are read as may be")

// readBody reads the body of r to the end. With one that is large comes the place that it has taken.
func (b *bounds) readBody(body *bytes.Buffer, w http.ResponseWriter, r *http.Request) (large *place, err error) {
	of := exchangeOf(r.Context())
	if r.ContentLength > MaxBody {
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	defer of.reads()()
	limited := http.MaxBytesReader(w, r.Body, MaxBody)
	_, err = io.CopyN(body, limited, smallBody+1)
	if err == nil {
		var ok bool
		if large, ok = b.large.take(r.Context()); !ok {
			return nil, errBusy
		}
		_, err = body.ReadFrom(limited)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
		of.bodyIsRead(r)
		return large, nil
	case of.hasLostItsBody():
		return large, errBusy
	default:
		return large, err
	}
}

// writeBodyError answers a request whose body could not be read.
func (b *bounds) writeBodyError(f face, w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errBusy):
		w.Header().Set("Connection", "close") // or net/http would read on, for a while, before it sends this
		b.refuse(f, w)
	case errors.As(err, &tooLarge):
		f.writeError(w, http.StatusRequestEntityTooLarge,
			invalidRequest(fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)))
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.writeStatus(w, http.StatusRequestTimeout, fmt.Sprintf("the request took longer than %s to arrive", readTimeout), "")
	default:
		// The client went away or broke its own framing: its affair, and nothing for the log.
		f.writeError(w, http.StatusBadRequest, parseError("the body ended early"))
	}
}

// buffers are the answers' buffers, reused because an answer may have megabytes.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return buf
	}
	return new([]byte)
}

// put takes back the buffer buf, as it has grown to answer.
func (b *buffers) put(buf *[]byte, answer []byte) {
	if cap(answer) > maxPooledBuffer {
		return
	}
	*buf = answer[:0]
	b.pool.Put(buf)
}

// httpStatus is the status under which the bare face sends an error.
func httpStatus(e *jsonrpc2.Error) int {
	switch e.Code {
	case jsonrpc2.CodeParseError, jsonrpc2.CodeInvalidRequest, jsonrpc2.CodeInvalidParams:
		return http.StatusBadRequest
	case jsonrpc2.CodeMethodNotFound:
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}
