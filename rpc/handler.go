package rpc

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"
)

// Options say what [NewHandler] serves. A handler that is nil has no route.
type Options struct {
	// Router has the methods of POST /json_rpc and POST /.
	Router *Router

	// Bare has the methods with a path of their own, /NAME: POST takes the params as the body, GET from the query string
	// as Queries says. Of one that is not in Queries, GET has no params. nil has none.
	Bare    *Router
	Queries map[string]QueryParams

	Connections http.Handler // GET /api/connections

	// Not subject to the rate limit, so that a busy client cannot make the daemon look dead.
	Health  http.Handler // GET /healthz
	Ready   http.Handler // GET /readyz
	Metrics http.Handler // GET /metrics

	// Rate is how many calls a second a client may make in the long run, and Burst how many at once (at least 1). Without
	// a positive Rate there is no limit.
	Rate  float64
	Burst int

	// TrustedProxies are the peers whose X-Forwarded-For says who the client is. With none of them the peer always is.
	TrustedProxies []netip.Prefix

	Now func() time.Time // the clock of the rate limit; nil is time.Now
	Log zerolog.Logger   // gets the panics of handlers
}

// NewHandler returns the HTTP face of a Router: the routes of opts, and errors in the style of each. It sends no CORS
// header, so no web page of another origin can read an answer.
func NewHandler(opts Options) http.Handler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	limit := newRateLimit(opts.Rate, opts.Burst, opts.Now)
	pool := new(buffers)
	faceOf := func(r *http.Request) face {
		if r.URL.Path == "/" || r.URL.Path == "/json_rpc" {
			return envelopeFace
		}
		if opts.Bare.has(strings.TrimPrefix(r.URL.Path, "/")) {
			return bareFace
		}
		return restFace
	}
	admit := func(next http.Handler) http.Handler {
		return clientIP(opts.TrustedProxies, limit.admit(faceOf, next))
	}

	mux := chi.NewRouter()
	mux.Use(recoverer(opts.Log, faceOf), freshJSON)

	get(mux, "/healthz", opts.Health)
	get(mux, "/readyz", opts.Ready)
	get(mux, "/metrics", opts.Metrics)

	mux.Group(func(limited chi.Router) {
		limited.Use(admit)
		envelope := &envelopeHandler{router: opts.Router, limit: limit, buffers: pool}
		limited.Method(http.MethodPost, "/json_rpc", envelope)
		limited.Method(http.MethodPost, "/", envelope)
		for name := range opts.Bare.names() {
			bare := &bareHandler{router: opts.Bare, buffers: pool, method: name, query: opts.Queries[name]}
			limited.Post("/"+name, bare.post)
			get(limited, "/"+name, http.HandlerFunc(bare.get))
		}
		get(limited, "/api/connections", opts.Connections)
	})
	mux.NotFound(admit(http.HandlerFunc(notFound)).ServeHTTP)
	mux.MethodNotAllowed(admit(methodNotAllowed(mux, faceOf)).ServeHTTP)
	return mux
}

// get routes GET and HEAD, for which net/http leaves out the body.
func get(router chi.Router, path string, h http.Handler) {
	if h == nil {
		return
	}
	router.Method(http.MethodGet, path, h)
	router.Method(http.MethodHead, path, h)
}

// freshJSON forbids caches to keep an answer, which is true of one moment only, and browsers to take it for a page.
func freshJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	restFace.writeStatus(w, http.StatusNotFound, "Not found", "")
}

// methodNotAllowed answers for paths that exist with another method. chi also sends methods here that it does not know,
// whatever the path.
func methodNotAllowed(mux *chi.Mux, faceOf func(*http.Request) face) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.RawPath // as chi chooses it
		if path == "" {
			path = r.URL.Path
		}
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if mux.Match(chi.NewRouteContext(), method, path) {
				allowed = append(allowed, method)
			}
		}
		if allowed == nil {
			notFound(w, r)
			return
		}
		allow := strings.Join(allowed, ", ")
		w.Header().Set("Allow", allow)
		faceOf(r).writeStatus(w, http.StatusMethodNotAllowed, "Method not allowed", "allowed: "+allow)
	})
}

// recoverer turns the panic of a handler into a 500, or, if the answer has begun, into a connection that breaks: the
// client must not take half an answer for a whole one.
func recoverer(log zerolog.Logger, faceOf func(*http.Request) face) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler {
					panic(v)
				}
				log.Error().Str("path", r.URL.Path).Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).
					Msg("handler panicked")
				if ww.Status() != 0 {
					panic(http.ErrAbortHandler)
				}
				faceOf(r).writeError(ww, http.StatusInternalServerError, internalError())
			}()
			next.ServeHTTP(ww, r)
		})
	}
}
