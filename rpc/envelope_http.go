package rpc

import "net/http"

// envelopeHandler is POST /json_rpc and POST /. As with monerod the Content-Type of the request does not matter, and
// what JSON-RPC 2.0 has a code for is answered with HTTP 200.
type envelopeHandler struct {
	router  *Router
	limit   *rateLimit
	bounds  *bounds
	buffers *buffers
	logged  bool
}

func (h *envelopeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.bounds.answerBody(envelopeFace, w, r, func(w http.ResponseWriter, body []byte) { h.answer(w, r, body) })
}

func (h *envelopeHandler) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	message := ParseMessage(body)
	if h.logged {
		noteMessage(r.Context(), message, h.router)
	}
	// The request itself has paid for the first call on arrival.
	if wait, ok := h.limit.charge(r, message.Calls()-1); !ok {
		h.limit.refuse(envelopeFace, w, wait)
		return
	}
	buf := h.buffers.get()
	reply := newReply(w, r, *buf)
	switch err := h.router.answerTo(r.Context(), message, reply); {
	case err != nil:
		reply.abort()
	case reply.size() == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		reply.end(w, http.StatusOK)
	}
	h.buffers.put(buf, reply.Buf)
}
