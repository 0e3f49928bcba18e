package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// answeredHandler returns a handler with a method of each face, and what it says of requests.
func answeredHandler(t *testing.T, access Access) (h *HTTPHandler, told func() []string) {
	t.Helper()
	router := NewRouter(zerolog.Nop())
	router.Handle("get_info", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		return append(dst, "{}"...), nil
	})
	router.HandleStream("breaks", func(_ context.Context, _ json.RawMessage, out *Reply) error {
		for range 2 {
			out.Buf = append(out.Buf, make([]byte, flushFrom)...)
			if err := out.Flush(); err != nil {
				return err
			}
		}
		return fmt.Errorf("too late")
	})
	var mu sync.Mutex
	var all []string
	document := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	h = NewHandler(Options{
		Router: router, Bare: router, Health: document, Metrics: document, Connections: document, Profiles: document, Access: access, Log: zerolog.Nop(),
		Answered: func(a Answered) {
			mu.Lock()
			defer mu.Unlock()
			if a.Took <= 0 {
				t.Errorf("%+v took no time", a)
			}
			all = append(all, fmt.Sprint(a.Face, " ", a.Method, " ", a.Status))
		},
	})
	return h, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// What is told of requests, of which clients can send any number: each face, method and status by a name that there is.
func TestAnswered(t *testing.T) {
	const token = "answered-answered-answered"
	for _, tc := range []struct {
		access             Access
		method, path, body string
		want               string
	}{
		{Access{}, "POST", "/json_rpc", `{"jsonrpc":"2.0","id":0,"method":"get_info"}`, "envelope get_info 200"},
		{Access{}, "POST", "/", `{"jsonrpc":"2.0","id":0,"method":"get_info"}`, "envelope get_info 200"},
		{Access{LogEvery: 1}, "POST", "/json_rpc", `{"jsonrpc":"2.0","id":0,"method":"get_info"}`, "envelope get_info 200"},
		{Access{}, "POST", "/json_rpc", `{"jsonrpc":"2.0","method":"get_info"}`, "envelope get_info 204"},
		{Access{}, "POST", "/json_rpc", `{"jsonrpc":"2.0","id":0,"method":"any text"}`, "envelope unknown 200"},
		{Access{}, "POST", "/json_rpc", `{"jsonrpc":"2.0","id":0}`, "envelope invalid 200"},
		{Access{}, "POST", "/json_rpc", `{`, "envelope invalid 200"},
		{Access{}, "POST", "/json_rpc", `[{"jsonrpc":"2.0","id":0,"method":"get_info"}]`, "envelope batch 200"},
		{Access{}, "GET", "/json_rpc", "", "envelope unread 405"},
		{Access{}, "POST", "/json_rpc", `{"jsonrpc":"2.0","id":0,"method":"breaks"}`, "envelope breaks 0"},
		{Access{}, "GET", "/get_info", "", "bare get_info 200"},
		{Access{}, "POST", "/get_info", "7", "bare get_info 400"},
		{Access{}, "GET", "/api/connections", "", "rest /api/connections 200"},
		{Access{}, "GET", "/healthz", "", "rest /healthz 200"},
		{Access{}, "GET", "/metrics", "", "rest /metrics 200"},
		{Access{}, "GET", "/readyz", "", "rest unknown 404"},           // here there is none
		{Access{}, "GET", "/debug/pprof/heap", "", "rest unknown 404"}, // by TCP
		{Access{}, "GET", "/any/text", "", "rest unknown 404"},
		{Access{AccessTokens: tokens(t, token)}, "GET", "/" + token + "/get_info", "", "bare get_info 200"},
		{Access{AccessTokens: tokens(t, token)}, "GET", "/" + token + "/metrics", "", "rest /metrics 200"},
		{Access{AccessTokens: tokens(t, token)}, "GET", "/" + token + "x/get_info", "", "rest unknown 404"},
		{Access{AccessTokens: tokens(t, token)}, "GET", "/get_info", "", "rest unknown 404"},
		{Access{Login: Login{"user", "password"}}, "GET", "/get_info", "", "bare get_info 401"},
		{Access{Login: Login{"user", "password"}}, "GET", "/metrics", "", "rest /metrics 401"},
	} {
		t.Run(fmt.Sprint(tc.method, tc.path, tc.want), func(t *testing.T) {
			h, told := answeredHandler(t, tc.access)
			l := listen(t)
			stop, ended := start(t, &Server{Handler: h}, l)
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", tc.method, tc.path, len(tc.body), tc.body)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn) // until the end, or until it is broken off
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.want}, told()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func tokens(t *testing.T, text string) []AccessToken {
	t.Helper()
	token, err := ParseAccessToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return []AccessToken{token}
}

// Counting takes no memory of its own: what it notes is in the exchange that each request has.
func TestAnsweredAllocations(t *testing.T) {
	allocations := func(answered func(Answered)) float64 {
		router := NewRouter(zerolog.Nop())
		router.Handle("get_info", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) { return dst, nil })
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			noteMessage(r.Context(), ParseMessage([]byte(`{"jsonrpc":"2.0","id":0,"method":"get_info"}`)), router)
		})
		h := NewHandler(Options{Router: router, Log: zerolog.Nop(), Answered: answered, Now: func() time.Time { return time.Time{} }})
		counted := h.counted(next)
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), exchangeKey{}, new(exchange)), http.MethodPost, "/json_rpc", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(100, func() { counted.ServeHTTP(nil, r) })
	}
	if without, with := allocations(nil), allocations(func(Answered) {}); with != without {
		t.Errorf("%v allocations, want the %v of a request that is not counted", with, without)
	}
}
