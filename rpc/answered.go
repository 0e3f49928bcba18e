package rpc

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/connectionsd/connectionsd/collector"
)

// Answered is what is counted of a request once it has its answer. Its texts are few, whatever clients send.
type Answered struct {
	// Face is how the answer is shaped: envelope, bare or rest.
	Face string
	// Method is that of JSON-RPC, or of the face rest the path. It is unknown where there is none of that name, invalid of a
	// body that is no request, batch of several, and unread where the answer came before the body was read.
	Method string
	// Status is that of HTTP, 0 if the answer was broken off.
	Status int
	// Request is the request, whose body has been read, and Began when its headers had been.
	Request *http.Request
	Began   time.Time
	// Times are those of the snapshot that the answer is of, the zero Times where there is none.
	Times collector.Times
	// Took is the time from the headers of the request to the last byte of the answer that the kernel has taken.
	Took time.Duration
}

// String returns the name that the metrics have for a face.
func (f face) String() string {
	switch f {
	case bareFace:
		return "bare"
	case envelopeFace:
		return "envelope"
	default:
		return "rest"
	}
}

// callOf returns what is noted of the request that ctx is of, nil if nothing is.
func callOf(ctx context.Context) *loggedCall {
	if call, ok := ctx.Value(loggedCallKey{}).(*loggedCall); ok {
		return call
	}
	if e := exchangeOf(ctx); e != nil {
		return &e.call
	}
	return nil
}

// noteTimes notes when the snapshot of an answer was made.
func noteTimes(ctx context.Context, of *collector.Following) {
	if call := callOf(ctx); call != nil {
		call.times = of.Times()
	}
}

// counted tells Options.Answered of the requests to next that a [Server] has brought. What there is to note is noted in their
// exchanges, so that it takes no memory.
func (h *HTTPHandler) counted(next http.Handler) http.Handler {
	if h.opts.Answered == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := exchangeOf(r.Context())
		if e == nil {
			next.ServeHTTP(w, r)
			return
		}
		began, whole := h.opts.Now(), false
		defer func() {
			a := h.answered(r, callOf(r.Context()))
			a.Request, a.Began, a.Took = r, began, h.opts.Now().Sub(began)
			if whole {
				a.Status = max(e.status, http.StatusOK) // 0 where a handler says nothing
			}
			h.opts.Answered(a)
		}()
		next.ServeHTTP(w, r)
		whole = true
	})
}

// answered returns what there was to answer.
func (h *HTTPHandler) answered(r *http.Request, call *loggedCall) (a Answered) {
	f := h.faceOf(r)
	switch {
	case call.notFound:
		f, a.Method = restFace, "unknown"
	case f == bareFace:
		a.Method = strings.TrimPrefix(r.URL.Path, "/")
	case f == restFace:
		a.Method = r.URL.Path
		if strings.HasPrefix(a.Method, profilesPath) {
			a.Method = profilesPath
		}
		if !h.paths[a.Method] {
			a.Method = "unknown"
		}
	case call.method != "":
		a.Method = call.method
	default:
		a.Method = "unread"
	}
	a.Face, a.Times = f.String(), call.times
	return a
}

// paths returns those of the face rest.
func (o *Options) paths() map[string]bool {
	return map[string]bool{
		"/healthz": o.Health != nil, "/readyz": o.Ready != nil, "/metrics": o.Metrics != nil,
		"/api/connections": o.Connections != nil, "/openapi.yaml": o.OpenAPI != nil, profilesPath: o.Profiles != nil,
	}
}
