package rpc

import "net/http"

// envelopeHandler is POST /json_rpc and POST /. As with monerod the Content-Type of the request does not matter, and
// what JSON-RPC 2.0 has a code for is answered with HTTP 200.
type envelopeHandler struct {
	router  *Router
	limit   *rateLimit
	buffers *buffers
}

func (h *envelopeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := envelopeFace.readBody(w, r)
	if !ok {
		return
	}
	message := ParseMessage(body)
	// The request itself has paid for the first call on arrival.
	if wait, ok := h.limit.charge(r, message.Calls()-1); !ok {
		envelopeFace.writeTooMany(w, wait)
		return
	}
	buf := h.buffers.get()
	reply := newReply(w, r, *buf)
	switch err := h.router.answerTo(r.Context(), message, reply); {
	case err != nil:
		reply.abort()
	case len(reply.Buf) == 0 && !reply.sent:
		w.WriteHeader(http.StatusNoContent)
	default:
		reply.end(w, http.StatusOK)
	}
	h.buffers.put(buf, reply.Buf)
}
