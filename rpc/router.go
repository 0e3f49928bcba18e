package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"

	"github.com/rs/zerolog"
	"github.com/sourcegraph/jsonrpc2"
)

// A Handler answers one method. It appends the JSON of its result to dst and returns the extended slice; what it
// appended before an error is dropped, and a result of no bytes is sent as null.
//
// params is nil if the call has none, else an array or an object. It aliases the request: a Handler that needs it after
// it returned copies it. An error that is (or wraps) a *[jsonrpc2.Error] goes to the client as it is, its Data being
// valid JSON; any other becomes -32603 "Internal error" and its text goes to the log only.
type Handler func(ctx context.Context, params json.RawMessage, dst []byte) ([]byte, error)

// A Router is the table of methods, the same for every transport. It is built once at start and only read after that,
// so that any number of goroutines may call it.
type Router struct {
	methods map[string]*method
	log     zerolog.Logger
}

type method struct {
	name    string
	handler StreamHandler
}

// NewRouter returns a Router without methods. log gets what clients are not told: why a method failed, and the stack of
// one that panicked.
func NewRouter(log zerolog.Logger) *Router {
	return &Router{methods: make(map[string]*method), log: log}
}

// Handle adds the method name. It panics if there is one of that name already, which is an error of the program.
func (r *Router) Handle(name string, h Handler) {
	r.HandleStream(name, h.stream())
}

// stream returns a StreamHandler that never sends before it has ended.
func (h Handler) stream() StreamHandler {
	return func(ctx context.Context, params json.RawMessage, out *Reply) (err error) {
		out.Buf, err = h(ctx, params, out.Buf)
		return err
	}
}

// HandleStream is Handle for a method whose answer can be long.
func (r *Router) HandleStream(name string, h StreamHandler) {
	if _, ok := r.methods[name]; ok {
		panic(fmt.Sprintf("rpc: method %q is handled twice", name))
	}
	r.methods[name] = &method{name: name, handler: h}
}

// has reports whether there is a method of that name. A nil Router has none.
func (r *Router) has(name string) bool {
	return r != nil && r.methods[name] != nil
}

// names yields the names of the methods.
func (r *Router) names() iter.Seq[string] {
	if r == nil {
		return func(func(string) bool) {}
	}
	return maps.Keys(r.methods)
}

// Call calls a method and appends its result to out. params is valid JSON or empty; none and null reach the handler as
// nil. On an error, always a *[jsonrpc2.Error], the Reply is as it came, unless a part of it was sent: -32601 for a method
// that does not exist, -32602 for params that are neither an array nor an object, else what the handler says.
func (r *Router) Call(ctx context.Context, method string, params json.RawMessage, out *Reply) error {
	m, ok := r.methods[method]
	if !ok {
		return methodNotFound()
	}
	if err := r.call(ctx, m, params, out); err != nil {
		return err
	}
	return nil
}

func (r *Router) call(ctx context.Context, m *method, params []byte, out *Reply) (rpcErr *jsonrpc2.Error) {
	params, rpcErr = structured(params)
	if rpcErr != nil {
		return rpcErr
	}
	start := out.size()
	defer func() {
		if v := recover(); v != nil {
			r.log.Error().Str("method", m.name).Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).
				Msg("method panicked")
			rpcErr = internalError()
		}
		if rpcErr != nil {
			out.rewind(start)
		}
	}()
	// The rest of a batch whose client has gone is not worth a look at the kernel.
	if err := ctx.Err(); err != nil {
		return r.clientError(ctx, m.name, err)
	}
	if err := m.handler(ctx, params, out); err != nil {
		return r.clientError(ctx, m.name, err)
	}
	if out.size() <= start {
		out.Buf = append(out.Buf[:start-out.left], "null"...)
	}
	return nil
}

// clientError is what the client is told of err. What it is not told is logged here, and nowhere else.
func (r *Router) clientError(ctx context.Context, method string, err error) *jsonrpc2.Error {
	var rpcErr *jsonrpc2.Error
	if errors.As(err, &rpcErr) && rpcErr != nil {
		return rpcErr
	}
	event := r.log.Error()
	if unsent := (*sendError)(nil); ctx.Err() != nil || errors.As(err, &unsent) {
		event = r.log.Debug() // clients that leave early, or take nothing, are no fault of this host
	}
	event.Str("method", method).Err(err).Msg("method failed")
	return internalError()
}

// structured checks that params is what JSON-RPC 2.0 allows, an array or an object, and makes none and null both nil.
func structured(params []byte) ([]byte, *jsonrpc2.Error) {
	start := skipSpace(params, 0)
	if start == len(params) {
		return nil, nil
	}
	switch params[start] {
	case '{', '[':
		return params[start:], nil
	case 'n':
		return nil, nil
	default:
		return nil, InvalidParams("params must be an object or an array")
	}
}
