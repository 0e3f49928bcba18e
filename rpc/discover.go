package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Discover returns the method rpc.discover of OpenRPC. It takes no parameters and answers with document, without the
// spaces between its values. It panics if document is not JSON, which is an error of the program.
func Discover(document string) Handler {
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(document)); err != nil {
		panic(fmt.Sprintf("rpc: the OpenRPC document: %v", err))
	}
	return func(_ context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		if !isEmpty(params) {
			return dst, InvalidParams("params: rpc.discover takes none, want {} or nothing, not " + abridged(string(params)))
		}
		return append(dst, compact.Bytes()...), nil
	}
}

// isEmpty reports whether params, as a [Handler] gets them, are none, {} or [].
func isEmpty(params json.RawMessage) bool {
	if params == nil {
		return true
	}
	after := params[skipSpace(params, 1)]
	return after == '}' || after == ']'
}

// Document returns the handler of a text that never changes, such as GET /openapi.yaml.
func Document(mediaType, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = io.WriteString(w, text) // an error means that the client has gone
	})
}
