package rpc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sourcegraph/jsonrpc2"
)

// QueryParams makes the params of a method from the query string of a GET. Its errors are those of a [Handler].
type QueryParams func(url.Values) (json.RawMessage, error)

// bareHandler is a method under a path of its own: bare params in, bare result out. Its errors have an HTTP status.
type bareHandler struct {
	router  *Router
	bounds  *bounds
	buffers *buffers
	method  string
	query   QueryParams
	logged  bool
}

// post takes the params from the body. An empty one means no params: monero-python sends nothing where it means {}.
func (h *bareHandler) post(w http.ResponseWriter, r *http.Request) {
	h.bounds.answerBody(bareFace, w, r, func(w http.ResponseWriter, body []byte) {
		if skipSpace(body, 0) < len(body) {
			if err := checkJSON(body); err != nil {
				bareFace.writeError(w, httpStatus(err), err)
				return
			}
		}
		h.answer(w, r, body)
	})
}

// get takes the params from the query string. A method that has none does not look at it, as monerod does not.
func (h *bareHandler) get(w http.ResponseWriter, r *http.Request) {
	if h.query == nil {
		h.answer(w, r, nil)
		return
	}
	// Not r.URL.Query, which leaves out what it cannot read.
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		rpcErr := InvalidParams(fmt.Sprintf("the query string cannot be read: %v", err))
		bareFace.writeError(w, httpStatus(rpcErr), rpcErr)
		return
	}
	params, err := h.query(values)
	if err != nil {
		rpcErr := h.router.clientError(r.Context(), h.method, err)
		bareFace.writeError(w, httpStatus(rpcErr), rpcErr)
		return
	}
	h.answer(w, r, params)
}

func (h *bareHandler) answer(w http.ResponseWriter, r *http.Request, params []byte) {
	if h.logged {
		noteMethod(r.Context(), h.method)
	}
	buf := h.buffers.get()
	reply := newReply(w, r, *buf)
	if err := h.router.Call(r.Context(), h.method, params, reply); err != nil {
		if reply.sent {
			reply.abort()
		}
		rpcErr := err.(*jsonrpc2.Error) // Call has no others
		bareFace.writeError(w, httpStatus(rpcErr), rpcErr)
	} else {
		reply.end(w, http.StatusOK)
	}
	h.buffers.put(buf, reply.Buf)
}
