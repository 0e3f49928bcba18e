package rpc

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"
)

// Options say what [NewHandler] serves, and to whom. A handler that is nil has no route.
type Options struct {
	// Router has the methods of POST /json_rpc and POST /.
	Router *Router

	// Bare has the methods with a path of their own, /NAME: POST takes the params as the body, GET from the query string
	// as Queries says. Of one that is not in Queries, GET has no params. nil has none.
	Bare    *Router
	Queries map[string]QueryParams

	Connections http.Handler // GET /api/connections
	OpenAPI     http.Handler // GET /openapi.yaml, which describes all these paths

	// Open to all, and not subject to the rate limit, so that a busy client cannot make the daemon look dead.
	Health http.Handler // GET /healthz
	Ready  http.Handler // GET /readyz

	// Metrics is GET /metrics. It tells of this host, so it needs the token and the login that all else needs. Only when
	// there are neither is it outside the rate limit, or it would be the place to guess at them.
	Metrics http.Handler

	// Profiles is GET /debug/pprof/..., for those alone who come by a unix socket, with the token and the login that all else
	// needs. To others there is no such path.
	Profiles http.Handler

	Access

	// Refused, unless it is nil, is called during each request that is refused, with the reason. It is for counting.
	Refused func(Refusal)

	// Answered, unless it is nil, is called after each request that a [Server] has brought. It is for counting too.
	Answered func(Answered)

	Now func() time.Time // the clock of the rate limit, of the login and of the log; nil is time.Now
	Log zerolog.Logger   // gets the panics of handlers, who guesses at tokens and passwords, and the requests of LogEvery

	bounds *bounds // of a test; nil is newBounds
}

// Access says who may ask, how often, and what is logged of it: the part of [Options] that can change while requests are
// answered, by [HTTPHandler.SetAccess].
type Access struct {
	// AccessTokens, when there are any, stand before every path but those of Health and Ready: /TOKEN/json_rpc, and /TOKEN or
	// /TOKEN/ for /. All else is 404.
	AccessTokens []AccessToken

	// Login, unless it is the zero Login, is asked for by digest authentication at every path but those of Health and Ready.
	Login Login

	// AllowedHosts are names that clients use for the daemon, as [ParseHost] returns them. IP addresses and localhost are
	// always allowed; all other values of the Host header are 403.
	AllowedHosts []string

	// Origins are those whose pages may read answers and post, as [ParseOrigin] returns them. Without any no header of CORS is
	// sent, and what pages of other origins post is 403.
	Origins []string

	// Rate is how many calls a second a client may make in the long run, and Burst how many at once (at least 1). Without
	// a positive Rate there is no limit.
	Rate  float64
	Burst int

	// TrustedProxies are the peers whose X-Forwarded-For says who the client is. With none of them the peer always is.
	TrustedProxies []netip.Prefix

	// LogEvery is of how many requests one is logged; those answered 5xx are logged in any case. 0: none is.
	LogEvery int
}

// An HTTPHandler is the HTTP face of a Router. Any number of goroutines may use it.
type HTTPHandler struct {
	opts    Options
	faceOf  func(*http.Request) face
	paths   map[string]bool // of the face rest
	guesses *guessLog
	buffers *buffers
	turns   *atomic.Uint64 // of requests, to be logged

	mu     sync.Mutex // held while all below is replaced
	access Access
	limit  *rateLimit
	auth   *digestAuth // nil: nobody is asked
	// current answers: what SetAccess has made last, and never changes.
	current atomic.Pointer[http.Handler]
}

// NewHandler returns the HTTP face of a Router: the routes of opts, and errors in the style of each.
//
// A request goes through these, from the outermost to the innermost. Each may answer itself.
//
//  1. door: cuts the access token off the path, so that what follows neither sees nor logs it
//  2. counted: Answered; then clientIP, and the log of requests where that is on
//  3. recoverer: panics
//  4. freshJSON, allowOrigins: headers that every answer has, errors too
//  5. checkRoom: 429 on a connection that is one too many
//  6. rateLimit: 429. Behind it ends what had a wrong token: 404
//  7. checkURL: 414
//  8. checkHost: 403
//  9. checkOrigin: 403
//  10. answerPreflight: 204
//  11. digestAuth: 401
//  12. compressed
//  13. the routes: 404, 405
//  14. bounds, for all but documents and what is said below: 503, and of what has a body 408 and 413
//
// Health and readiness pass by 1, 5, 6, 10, 11 and 14; so do metrics where there is neither token nor login. Metrics always
// pass by 14.
func NewHandler(opts Options) *HTTPHandler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Refused == nil {
		opts.Refused = func(Refusal) {}
	}
	if opts.bounds == nil {
		opts.bounds = newBounds(opts.Refused)
	}
	h := &HTTPHandler{
		opts: opts,
		faceOf: func(r *http.Request) face {
			if r.URL.Path == "/" || r.URL.Path == "/json_rpc" {
				return envelopeFace
			}
			if opts.Bare.has(strings.TrimPrefix(r.URL.Path, "/")) {
				return bareFace
			}
			return restFace
		},
		guesses: newGuessLog(opts.Log, opts.Now), buffers: new(buffers), turns: new(atomic.Uint64), paths: opts.paths(),
	}
	h.SetAccess(opts.Access)
	return h
}

// ServeHTTP answers r, from its beginning to its end by one Access.
func (h *HTTPHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*h.current.Load()).ServeHTTP(w, r)
}

// SetAccess lets access decide of the requests that begin from now on; those in flight end as they began. What clients have
// used up of an unchanged rate stays used up, and nonces of an unchanged login stay good. The slices of access must not be
// changed any more.
func (h *HTTPHandler) SetAccess(access Access) {
	h.mu.Lock()
	defer h.mu.Unlock()
	begins := h.current.Load() == nil
	if begins || access.Rate != h.access.Rate || access.Burst != h.access.Burst {
		h.limit = newRateLimit(access.Rate, access.Burst, h.opts.Now, h.opts.Refused)
	}
	switch {
	case access.Login == Login{}:
		h.auth = nil
	case begins || access.Login != h.access.Login:
		h.auth = newDigestAuth(access.Login, h.opts.Now, func(client netip.Addr) {
			h.guesses.note(client, RefusedLogin)
			h.opts.Refused(RefusedLogin)
		})
	}
	h.access = access
	handler := h.build()
	h.current.Store(&handler)
}

// build returns what answers by the access that is set.
func (h *HTTPHandler) build() http.Handler {
	access, faceOf, refused := h.access, h.faceOf, h.opts.Refused
	mux := newRoutes(h.opts, h.limit, h.buffers, access.LogEvery > 0 || h.opts.Answered != nil, faceOf)
	answer := chi.Chain(recoverer(h.opts.Log, faceOf), freshJSON, allowOrigins(access.Origins))
	logged := func(next http.Handler) http.Handler { return next }
	if access.LogEvery > 0 {
		log := &requestLog{log: h.opts.Log, now: h.opts.Now, turns: h.turns, every: uint64(access.LogEvery), routes: mux}
		logged = log.of
	}
	enter := func(next http.Handler) http.Handler {
		next = checkRoom(faceOf, refused, h.limit.admit(faceOf, next))
		return h.counted(clientIP(access.TrustedProxies, logged(answer.Handler(next))))
	}
	check := chi.Chain(checkURL(faceOf), checkHost(access.AllowedHosts, faceOf, refused), checkOrigin(access.Origins, faceOf, refused))
	login := func(next http.Handler) http.Handler { return next }
	if auth := h.auth; auth != nil {
		login = func(next http.Handler) http.Handler { return auth.require(faceOf, next) }
	}

	serve := compressed(mux)
	open := answer.Handler(check.Handler(serve))
	if access.LogEvery > 0 {
		open = clientIP(access.TrustedProxies, logged(open))
	}
	open = h.counted(open)
	guarded := enter(check.Handler(answerPreflight(login(serve))))
	if len(access.AccessTokens) > 0 {
		guarded = &door{
			tokens: access.AccessTokens,
			right:  guarded,
			guess: enter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.guesses.note(clientOf(r), RefusedToken)
				refused(RefusedToken)
				notFound(w, r)
			})),
			// Not logged: those who try the paths of well-known programs everywhere are many, and get nowhere.
			other: enter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				refused(RefusedToken)
				notFound(w, r)
			})),
		}
	}
	openMetrics := len(access.AccessTokens) == 0 && h.auth == nil
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := sentPath(r); {
		case path == "/healthz", path == "/readyz", path == "/metrics" && openMetrics:
			open.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}

// newRoutes returns the paths of opts. logged is whether requests are logged or counted, which takes that their methods are
// noted.
func newRoutes(opts Options, limit *rateLimit, pool *buffers, logged bool, faceOf func(*http.Request) face) *chi.Mux {
	bounds := opts.bounds
	mux := chi.NewRouter()
	get(mux, "/healthz", opts.Health)
	get(mux, "/readyz", opts.Ready)
	get(mux, "/metrics", opts.Metrics)
	get(mux, profilesPath+"*", byUnixSocket(opts.Profiles))
	envelope := &envelopeHandler{router: opts.Router, limit: limit, bounds: bounds, buffers: pool, logged: logged}
	mux.Method(http.MethodPost, "/json_rpc", envelope)
	mux.Method(http.MethodPost, "/", envelope)
	for name := range opts.Bare.names() {
		bare := &bareHandler{router: opts.Bare, bounds: bounds, buffers: pool, method: name, query: opts.Queries[name], logged: logged}
		mux.Post("/"+name, bare.post)
		get(mux, "/"+name, bounds.admit(bareFace, http.HandlerFunc(bare.get)))
	}
	if opts.Connections != nil {
		get(mux, "/api/connections", bounds.admit(restFace, opts.Connections))
	}
	get(mux, "/openapi.yaml", opts.OpenAPI)
	mux.NotFound(notFound)
	mux.MethodNotAllowed(methodNotAllowed(mux, faceOf).ServeHTTP)
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

func notFound(w http.ResponseWriter, r *http.Request) {
	if call := callOf(r.Context()); call != nil {
		call.notFound = true
	}
	restFace.writeStatus(w, http.StatusNotFound, "Not found", "")
}

// methodNotAllowed answers for paths that exist with another method. chi also sends methods here that it does not know,
// whatever the path.
func methodNotAllowed(mux *chi.Mux, faceOf func(*http.Request) face) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := sentPath(r)
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
