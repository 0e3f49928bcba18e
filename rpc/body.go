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
	body, large, err := b.readBody(w, r)
	if large != nil {
		defer large.leave()
	}
	if err != nil {
		b.writeBodyError(f, w, err)
		return
	}
	b.answer(f, w, r, func(w http.ResponseWriter) { answer(w, body) })
}

// errBusy is why a body is not read on.
var errBusy = errors.New("as many large bodies are read as may be")

// readBody reads the body of r to the end. With one that is large comes the place that it has taken.
func (b *bounds) readBody(w http.ResponseWriter, r *http.Request) (body []byte, large *place, err error) {
	of := exchangeOf(r.Context())
	if r.ContentLength > MaxBody {
		return nil, nil, &http.MaxBytesError{Limit: MaxBody}
	}
	defer of.reads()()
	if r.ProtoMajor == 1 && 0 < r.ContentLength && r.ContentLength <= smallBody {
		// Over HTTP/2 the end comes by itself. Who is answered before would be told to send no more.
		body = make([]byte, r.ContentLength) // of a call some 60 bytes, where a bytes.Buffer would have 512
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, large, err = b.readLarge(w, r)
	}
	switch {
	case err == nil:
		of.bodyIsRead(r)
		return body, large, nil
	case of.hasLostItsBody():
		return nil, large, errBusy
	default:
		return nil, large, err
	}
}

// readLarge is readBody for a body that is large, or does not say how long it is.
func (b *bounds) readLarge(w http.ResponseWriter, r *http.Request) (body []byte, large *place, err error) {
	var read bytes.Buffer
	limited := http.MaxBytesReader(w, r.Body, MaxBody)
	_, err = io.CopyN(&read, limited, smallBody+1)
	switch {
	case errors.Is(err, io.EOF):
		return read.Bytes(), nil, nil
	case err != nil:
		return nil, nil, err
	}
	large, ok := b.large.take(r.Context())
	if !ok {
		return nil, nil, errBusy
	}
	_, err = read.ReadFrom(limited)
	return read.Bytes(), large, err
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
