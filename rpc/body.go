package rpc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

const (
	// MaxBody is how many bytes the body of a request may have.
	MaxBody = 1 << 20

	// maxPooledBuffer is the largest answer whose buffer is kept for the next one, about 6000 connections. Larger
	// answers are rare enough to be left to the garbage collector; kept, one of them would hold its memory for as long
	// as the daemon is busy.
	maxPooledBuffer = 4 << 20
)

// readBody reads the body of r. If it cannot, it answers and returns false.
func (f face) readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err == nil {
		return body, true
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		f.writeError(w, http.StatusRequestEntityTooLarge,
			invalidRequest(fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)))
		return nil, false
	}
	// The client went away, was too slow or broke its own framing: its affair, and nothing for the log.
	f.writeError(w, http.StatusBadRequest, parseError("the body ended early"))
	return nil, false
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
