package rpc

import (
	"net"
	"net/http"
)

// profilesPath begins the paths of Options.Profiles.
const profilesPath = "/debug/pprof/"

// byUnixSocket is next for those who come by a unix socket. To others there is no such path.
func byUnixSocket(next http.Handler) http.Handler {
	if next == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !comesByUnixSocket(r) {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func comesByUnixSocket(r *http.Request) bool {
	_, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
	return ok
}
