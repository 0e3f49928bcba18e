package main

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

// profiles answers GET /debug/pprof/..., as go tool pprof asks. The daemon's command line (/debug/pprof/cmdline) is left out,
// since there may be secrets in it.
func profiles() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/debug/pprof/") {
		case "cmdline":
			http.NotFound(w, r)
		case "profile":
			pprof.Profile(w, r)
		case "trace":
			pprof.Trace(w, r)
		case "symbol":
			pprof.Symbol(w, r)
		default:
			pprof.Index(w, r) // those that the runtime has by their names, and a list of them
		}
	})
}
