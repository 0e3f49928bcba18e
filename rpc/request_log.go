package rpc

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
)

// maxLoggedPath is how many bytes of a path that is none of the daemon's are logged.
const maxLoggedPath = 128

// requestLog logs requests once they are answered: one of every so many, and each that was answered 5xx. Nothing of a
// request is in it that could be a secret: no headers, no query string, no body, and of the path no access token.
type requestLog struct {
	log    zerolog.Logger
	now    func() time.Time
	every  uint64
	turns  *atomic.Uint64
	routes chi.Routes
}

// loggedCall is what the log gets to know of a request behind its routes.
type loggedCall struct {
	method string // of JSON-RPC
	calls  int    // of a batch

	times    collector.Times // of the snapshot that the answer is of, of several the last
	notFound bool            // there is no such path, or none for who does not know a token
}

type loggedCallKey struct{}

// noteMethod tells the log which method a request calls.
func noteMethod(ctx context.Context, method string) {
	if call := callOf(ctx); call != nil {
		call.method = method
	}
}

// noteMessage tells the log what a Message calls. A method that there is not is not repeated: it may be anything.
func noteMessage(ctx context.Context, m Message, router *Router) {
	call := callOf(ctx)
	if call == nil {
		return
	}
	switch {
	case m.refusal != nil:
		call.method = "invalid"
	case m.batch:
		call.method, call.calls = "batch", m.calls
	default:
		call.method = "unknown"
		if c, err := parseCall(m.value); err != nil {
			call.method = "invalid"
		} else if known, ok := router.methods[string(c.method)]; ok {
			call.method = known.name
		}
	}
}

// of logs the requests to next, whose clients are known.
func (l *requestLog) of(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := l.now()
		answer := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		call := callOf(r.Context())
		if call == nil {
			call = new(loggedCall)
			r = r.WithContext(context.WithValue(r.Context(), loggedCallKey{}, call))
		}
		whole := false
		defer func() { l.note(r, call, answer, whole, l.now().Sub(began)) }()
		next.ServeHTTP(answer, r)
		whole = true
	})
}

func (l *requestLog) note(r *http.Request, call *loggedCall, answer middleware.WrapResponseWriter, whole bool, took time.Duration) {
	status := answer.Status()
	if status == 0 {
		status = http.StatusOK // what net/http says when a handler says nothing
	}
	if turn := l.turns.Add(1) - 1; turn%l.every != 0 && status < http.StatusInternalServerError {
		return
	}
	event := l.log.Info().Str("client", loggedClient(r)).Str("verb", loggedVerb(r.Method)).Str("path", l.path(r.URL.Path))
	if call.method != "" {
		event.Str("method", call.method)
	}
	if call.calls > 0 {
		event.Int("calls", call.calls)
	}
	bytes := answer.BytesWritten()
	if r.Method == http.MethodHead {
		bytes = 0
	}
	if !whole {
		event.Bool("broken_off", true)
	}
	event.Int("status", status).Int("bytes", bytes).Float64("duration_ms", float64(took.Microseconds())/1000).Msg("request")
}

func loggedClient(r *http.Request) string {
	if address := addressOf(r); address.IsValid() {
		return address.String()
	}
	return clientName(clientOf(r))
}

// loggedVerb is the method of HTTP; one that this server has no use of may be any text.
func loggedVerb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// path is what the log says of a path. Of one that is none of the daemon's each part that is as long as a token is left out:
// it may be one, where none is asked for any more, or with a slip of the pen in it.
func (l *requestLog) path(path string) string {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if l.routes.Match(chi.NewRouteContext(), method, path) {
			return path
		}
	}
	segments := strings.Split(path[:min(len(path), maxURL)], "/")
	for i, segment := range segments {
		if len(segment) >= minTokenLength {
			segments[i] = redacted
		}
	}
	masked := strings.Join(segments, "/")
	return masked[:min(len(masked), maxLoggedPath)]
}
