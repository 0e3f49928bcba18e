package rpc

import (
	"net/http"
	"strconv"

	"github.com/sourcegraph/jsonrpc2"
)

// A face is a way to write what went wrong; each path has one.
type face uint8

const (
	restFace     face = iota // {"error":"why"}
	bareFace                 // {"error":{"code":1,"message":"why"}}
	envelopeFace             // {"error":{"code":1,"message":"why"},"id":null,"jsonrpc":"2.0"}
)

// writeError answers a request that got no further than HTTP, or, on the bare face, a method that failed.
func (f face) writeError(w http.ResponseWriter, status int, e *jsonrpc2.Error) {
	var body []byte
	switch f {
	case restFace:
		body = append(body, `{"error":`...)
		body = appendJSONString(body, e.Message)
		body = append(body, '}')
	case bareFace:
		body = append(body, `{"error":`...)
		body = appendError(body, e)
		body = append(body, '}')
	default:
		body = appendErrorResponse(body, e, nil)
	}
	writeJSON(w, status, body)
}

// writeStatus answers with an error whose code is the HTTP status itself, outside the range that JSON-RPC 2.0 reserves.
func (f face) writeStatus(w http.ResponseWriter, status int, message, data string) {
	f.writeError(w, status, newError(int64(status), message, data))
}

// writeJSON sends a whole answer. Its error is not looked at: it means that the client has gone.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
