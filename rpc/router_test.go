package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/sourcegraph/jsonrpc2"
)

// logLines are the lines of a JSON log, without the stacks, which have no fixed text.
func logLines(t *testing.T, log string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if stack, ok := fields["stack"].(string); ok {
			fields["stack"] = strings.Contains(stack, "_test.go:")
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestCall(t *testing.T) {
	data := json.RawMessage(`{"retry":true}`)
	busy := &jsonrpc2.Error{Code: -32001, Message: "Busy", Data: &data}
	handlers := map[string]Handler{
		"result": func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
			return append(dst, "true"...), nil
		},
		"plain":   failing(errors.New("netlink: no buffer space")),
		"rpc":     failing(busy),
		"wrapped": failing(fmt.Errorf("dump: %w", busy)),
		"nil":     failing((*jsonrpc2.Error)(nil)),
		"panic": func(context.Context, json.RawMessage, []byte) ([]byte, error) {
			panic("nobody is home")
		},
	}
	for _, test := range []struct {
		method, params string
		want           string
		err            *jsonrpc2.Error
		log            []map[string]any
	}{
		{method: "result", want: "dst:true"},
		{method: "result", params: " null ", want: "dst:true"},
		{method: "result", params: "\n[1]", want: "dst:true"},
		{method: "result", params: " 1", want: "dst:", err: InvalidParams("params must be an object or an array")},
		{method: "none", want: "dst:", err: &jsonrpc2.Error{Code: -32601, Message: "Method not found"}},
		{method: "rpc", want: "dst:", err: busy},
		{method: "wrapped", want: "dst:", err: busy},
		{
			method: "nil", want: "dst:", err: &jsonrpc2.Error{Code: -32603, Message: "Internal error"},
			log: []map[string]any{{"level": "error", "method": "nil", "message": "method failed"}},
		},
		{
			method: "plain", want: "dst:", err: &jsonrpc2.Error{Code: -32603, Message: "Internal error"},
			log: []map[string]any{{"level": "error", "method": "plain", "error": "netlink: no buffer space", "message": "method failed"}},
		},
		{
			method: "panic", want: "dst:", err: &jsonrpc2.Error{Code: -32603, Message: "Internal error"},
			log: []map[string]any{{
				"level": "error", "method": "panic", "panic": "nobody is home", "stack": true, "message": "method panicked",
			}},
		},
	} {
		t.Run(test.method+test.params, func(t *testing.T) {
			var log bytes.Buffer
			r := NewRouter(zerolog.New(&log))
			for name, h := range handlers {
				r.Handle(name, h)
			}
			out := Reply{Buf: []byte("dst:")}
			err := r.Call(context.Background(), test.method, json.RawMessage(test.params), &out)
			got := out.Buf
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			var rpcErr *jsonrpc2.Error
			if err != nil && !errors.As(err, &rpcErr) {
				t.Fatalf("error %v is not a *jsonrpc2.Error", err)
			}
			if diff := cmp.Diff(test.err, rpcErr); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.log, logLines(t, log.String())); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func failing(err error) Handler {
	return func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		return append(dst, "dropped"...), err
	}
}

func TestCallWithoutParamsGivesNil(t *testing.T) {
	r := NewRouter(zerolog.Nop())
	r.Handle("m", func(_ context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		return fmt.Appendf(dst, "%t", params == nil), nil
	})
	for params, want := range map[string]string{"": "true", " \n": "true", "null": "true", "{}": "false", "[]": "false"} {
		var out Reply
		err := r.Call(context.Background(), "m", json.RawMessage(params), &out)
		got := out.Buf
		if err != nil || string(got) != want {
			t.Errorf("params %q: nil is %s, error %v; want %s", params, got, err, want)
		}
	}
}

// A client that leaves is told the same as any other, not that anything was cancelled, and is no error in the log.
func TestCallAfterTheClientLeft(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(before, during context.CancelFunc)
		calls int
	}{
		{"before the call", func(before, _ context.CancelFunc) { before() }, 0},
		{"during the call", func(_, during context.CancelFunc) { during() }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			r := NewRouter(zerolog.New(&log))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			calls, during := 0, func() {}
			r.Handle("m", func(ctx context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
				calls++
				during()
				return dst, ctx.Err()
			})
			test.leave(cancel, func() { during = cancel })
			err := r.Call(ctx, "m", nil, new(Reply))
			if diff := cmp.Diff(error(&jsonrpc2.Error{Code: -32603, Message: "Internal error"}), err); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if calls != test.calls {
				t.Errorf("%d calls, want %d", calls, test.calls)
			}
			want := []map[string]any{{"level": "debug", "method": "m", "error": "context canceled", "message": "method failed"}}
			if diff := cmp.Diff(want, logLines(t, log.String())); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandleTwicePanics(t *testing.T) {
	r := NewRouter(zerolog.Nop())
	r.Handle("get_connections", failing(nil))
	defer func() {
		if got, want := recover(), any(`rpc: method "get_connections" is handled twice`); got != want {
			t.Errorf("panic %v, want %v", got, want)
		}
	}()
	r.Handle("get_connections", failing(nil))
}
