package rpc

import (
	"fmt"
	"net/http"
	"time"
)

// maxURL is how many bytes the path and the query string of a request may have: what RFC 9110 wants a server to support at
// the least, about. What does not fit can be posted.
const maxURL = 8 << 10

// checkURL refuses URLs that are too long.
func checkURL(faceOf func(*http.Request) face) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.RequestURI) > maxURL {
				faceOf(r).writeStatus(w, http.StatusRequestURITooLong, fmt.Sprintf("the URL has more than %d bytes", maxURL), "")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// checkRoom refuses what comes on a connection that is one too many for its client, and a request of HTTP/2 that is one too
// many for all of them.
func checkRoom(faceOf func(*http.Request) face, refused func(Refusal), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch of := exchangeOf(r.Context()); {
		case of == nil:
		case of.surplus:
			refused(RefusedConnections)
			faceOf(r).writeTooMany(w, time.Second)
			return
		case of.crowded:
			refused(RefusedBusy)
			faceOf(r).writeBusy(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// writeBusy answers 503.
func (f face) writeBusy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	f.writeStatus(w, http.StatusServiceUnavailable, "Service Unavailable", "")
}
