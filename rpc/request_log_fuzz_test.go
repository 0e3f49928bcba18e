package rpc

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
)

// Whatever path is asked for, the log has those of the daemon as they are, of all others no part that is as long as a token,
// and not much of anything.
func FuzzLoggedPath(f *testing.F) {
	for _, path := range []string{
		"/", "/json_rpc", "", "//", "/json_rpc/", "/" + firstToken, "/" + firstToken + "/json_rpc", "/a/" + firstToken + "/b", "/" + strings.Repeat("a/", 200),
		"/[redacted]", "/\xff" + strings.Repeat("\x00", 15), "/get_connections?" + firstToken, strings.Repeat("x", maxURL+1),
	} {
		f.Add(path)
	}
	mux := newRoutes(Options{
		Router: NewRouter(zerolog.Nop()), bounds: newBounds(func(Refusal) {}),
	}, nil, new(buffers), true, func(_ *http.Request) face { return restFace })
	log := &requestLog{routes: mux}
	f.Fuzz(func(t *testing.T, path string) {
		got := log.path(path)
		if path == "/" || path == "/json_rpc" {
			if got != path {
				t.Fatalf("%q is logged as %q", path, got)
			}
			return
		}
		if mux.Match(chi.NewRouteContext(), "POST", path) {
			t.Fatalf("%q is one of the daemon's paths", path)
		}
		if len(got) > maxLoggedPath {
			t.Fatalf("%q is logged as %d bytes", path, len(got))
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(got, redacted, ""), "/") {
			if len(part) >= minTokenLength {
				t.Fatalf("%q is logged as %q", path, got)
			}
		}
	})
}
