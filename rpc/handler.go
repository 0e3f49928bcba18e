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

	// Refused, unless it is nil, is called during each request that is refused, with the reason. It is for counting.
	Refused func(Refusal)

	Now func() time.Time // the clock of the rate limit and of the login; nil is time.Now
	Log zerolog.Logger   // gets the panics of handlers, and who guesses at tokens and passwords

	bounds *bounds // of a test; nil is newBounds
}

// NewHandler returns the HTTP face of a Router: the routes of opts, and errors in the style of each.
//
// A request goes through these, from the outermost to the innermost. Each may answer itself.
//
//  1. door: cuts the access token off the path, so that what follows neither sees nor logs it
//  2. recoverer: panics
//  3. freshJSON, allowOrigins: headers that every answer has, errors too
//  4. checkRoom: 429 on a connection that is one too many
//  5. clientIP, rateLimit: 429. Behind it ends what had a wrong token: 404
//  6. checkURL: 414
//  7. checkHost: 403
//  8. checkOrigin: 403
//  9. answerPreflight: 204
//  10. digestAuth: 401
//  11. compressed
//  12. the routes: 404, 405
//  13. bounds, for all but documents and what is said below: 503, and of what has a body 408 and 413
//
// Health and readiness pass by 1, 4, 5, 9, 10 and 13; so do metrics where there is neither token nor login. Metrics always
// pass by 13.
func NewHandler(opts Options) http.Handler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Refused == nil {
		opts.Refused = func(Refusal) {}
	}
	faceOf := func(r *http.Request) face {
		if r.URL.Path == "/" || r.URL.Path == "/json_rpc" {
			return envelopeFace
		}
		if opts.Bare.has(strings.TrimPrefix(r.URL.Path, "/")) {
			return bareFace
		}
		return restFace
	}
	if opts.bounds == nil {
		opts.bounds = newBounds(opts.Refused)
	}
	limit := newRateLimit(opts.Rate, opts.Burst, opts.Now, opts.Refused)
	guesses := newGuessLog(opts.Log, opts.Now)

	answer := chi.Chain(recoverer(opts.Log, faceOf), freshJSON, allowOrigins(opts.Origins))
	admit := func(next http.Handler) http.Handler {
		return checkRoom(faceOf, opts.Refused, clientIP(opts.TrustedProxies, limit.admit(faceOf, next)))
	}
	check := chi.Chain(checkURL(faceOf), checkHost(opts.AllowedHosts, faceOf, opts.Refused), checkOrigin(opts.Origins, faceOf, opts.Refused))
	hasLogin := opts.Login != Login{}
	login := func(next http.Handler) http.Handler { return next }
	if hasLogin {
		auth := newDigestAuth(opts.Login, opts.Now, func(client netip.Addr) {
			guesses.note(client, RefusedLogin)
			opts.Refused(RefusedLogin)
		})
		login = func(next http.Handler) http.Handler { return auth.require(faceOf, next) }
	}

	serve := compressed(newRoutes(opts, limit, faceOf))
	open := answer.Handler(check.Handler(serve))
	guarded := answer.Handler(admit(check.Handler(answerPreflight(login(serve)))))
	if len(opts.AccessTokens) > 0 {
		guarded = &door{
			tokens: opts.AccessTokens,
			right:  guarded,
			guess: answer.Handler(admit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				guesses.note(clientOf(r), RefusedToken)
				opts.Refused(RefusedToken)
				notFound(w, r)
			}))),
			// Not logged: those who try the paths of well-known programs everywhere are many, and get nowhere.
			other: answer.Handler(admit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				opts.Refused(RefusedToken)
				notFound(w, r)
			}))),
		}
	}
	openMetrics := len(opts.AccessTokens) == 0 && !hasLogin
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := sentPath(r); {
		case path == "/healthz", path == "/readyz", path == "/metrics" && openMetrics:
			open.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}

// newRoutes returns the paths of opts.
func newRoutes(opts Options, limit *rateLimit, faceOf func(*http.Request) face) http.Handler {
	pool, bounds := new(buffers), opts.bounds
	mux := chi.NewRouter()
	get(mux, "/healthz", opts.Health)
	get(mux, "/readyz", opts.Ready)
	get(mux, "/metrics", opts.Metrics)
	envelope := &envelopeHandler{router: opts.Router, limit: limit, bounds: bounds, buffers: pool}
	mux.Method(http.MethodPost, "/json_rpc", envelope)
	mux.Method(http.MethodPost, "/", envelope)
	for name := range opts.Bare.names() {
		bare := &bareHandler{router: opts.Bare, bounds: bounds, buffers: pool, method: name, query: opts.Queries[name]}
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

func notFound(w http.ResponseWriter, _ *http.Request) {
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
