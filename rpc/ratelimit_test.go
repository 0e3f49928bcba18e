package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	tooManyEnvelope = `{"error":{"code":429,"message":"Too Many Requests"},"id":null,"jsonrpc":"2.0"}`
	tooManyBare     = `{"error":{"code":429,"message":"Too Many Requests"}}`
	tooManyRest     = `{"error":"Too Many Requests"}`
)

type clock struct{ now time.Time }

func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// A step is one request at one moment, and what it must bring.
type step struct {
	after      time.Duration // since the step before
	from       string        // RemoteAddr; "" is 192.0.2.1:1234
	forwarded  []string      // X-Forwarded-For
	method     string        // "" is POST
	path       string        // "" is /json_rpc
	body       string
	status     int
	retryAfter string
}

func run(t *testing.T, opts Options, steps []step) {
	t.Helper()
	c := &clock{now: time.Unix(1700000000, 0)}
	opts.Now = func() time.Time { return c.now }
	h := NewHandler(opts)
	for i, s := range steps {
		c.advance(s.after)
		method, path := s.method, s.path
		if method == "" {
			method = "POST"
		}
		if path == "" {
			path = "/json_rpc"
		}
		r := httptest.NewRequest(method, path, strings.NewReader(s.body))
		r.RemoteAddr = "192.0.2.1:1234"
		if s.from != "" {
			r.RemoteAddr = s.from
		}
		for _, value := range s.forwarded {
			r.Header.Add("X-Forwarded-For", value)
		}
		got := serve(h, r)
		if got.Status != s.status || got.Header.Get("Retry-After") != s.retryAfter {
			t.Errorf("step %d: status %d, Retry-After %q; want %d, %q\n%s",
				i+1, got.Status, got.Header.Get("Retry-After"), s.status, s.retryAfter, got.Body)
		}
	}
}

func limited(rate float64, burst int) Options {
	opts := testOptions(io.Discard)
	opts.Rate, opts.Burst = rate, burst
	return opts
}

const one = `{"jsonrpc":"2.0","method":"get_connections","id":1}`

func TestRateLimit(t *testing.T) {
	for _, test := range []struct {
		name  string
		opts  Options
		steps []step
	}{
		{"none", limited(0, 1), []step{{body: one, status: 200}, {body: one, status: 200}, {body: batchOf(100, one), status: 200}}},
		{"a burst, then the rate", limited(2, 3), []step{
			{body: one, status: 200},
			{body: one, status: 200},
			{body: one, status: 200},
			{body: one, status: 429, retryAfter: "1"},
			{after: 499 * time.Millisecond, body: one, status: 429, retryAfter: "1"},
			{after: time.Millisecond, body: one, status: 200},
			{body: one, status: 429, retryAfter: "1"},
			{after: time.Hour, body: one, status: 200}, // the bucket holds no more than the burst
			{body: one, status: 200},
			{body: one, status: 200},
			{body: one, status: 429, retryAfter: "1"},
		}},
		{"less than one a second", limited(0.1, 1), []step{
			{body: one, status: 200},
			{body: one, status: 429, retryAfter: "10"},
			{after: 9500 * time.Millisecond, body: one, status: 429, retryAfter: "1"},
			{after: time.Second, body: one, status: 200},
		}},
		{"hardly ever", limited(1e-9, 1), []step{{body: one, status: 200}, {body: one, status: 429, retryAfter: "86400"}}},
		{"a burst below 1 is 1", limited(1, 0), []step{{body: one, status: 200}, {body: one, status: 429, retryAfter: "1"}}},
		{"a batch costs its calls", limited(1, 10), []step{
			{body: batchOf(7, one), status: 200}, // 3 left
			{body: batchOf(3, one), status: 200}, // 0
			{body: one, status: 429, retryAfter: "1"},
			{after: 4 * time.Second, body: batchOf(8, one), status: 429, retryAfter: "5"}, // paid 1 on arrival: 3
			{after: 4 * time.Second, body: batchOf(8, one), status: 429, retryAfter: "2"}, // 7, paid 1: 6
			{after: 2 * time.Second, body: batchOf(8, one), status: 200},                  // 8, as it was told
			{body: one, status: 429, retryAfter: "1"},
		}},
		{"what a batch holds does not matter", limited(1, 10), []step{
			{body: `[1,2,3,4,5]`, status: 200},
			{body: batchOf(5, `{"jsonrpc":"2.0","method":"get_connections"}`), status: 204},
			{body: one, status: 429, retryAfter: "1"},
		}},
		{"a batch larger than the burst is never paid", limited(2, 10), []step{
			{body: batchOf(11, one), status: 429, retryAfter: "1"}, // 9 left, 11 needed
			{after: time.Hour, body: batchOf(30, one), status: 429, retryAfter: "11"},
			{body: batchOf(9, one), status: 200},
		}},
		{"malformed bodies cost 1", limited(1, 4), []step{
			{body: `{`, status: 200},
			{body: `[]`, status: 200},
			{body: batchOf(101, one), status: 200},
			{body: strings.Repeat(" ", MaxBody+1), status: 413},
			{body: `{`, status: 429, retryAfter: "1"},
		}},
		{"one bucket for all faces", limited(1, 6), []step{
			{body: one, status: 200},
			{path: "/get_connections", status: 200},
			{method: "GET", path: "/get_connections", status: 200},
			{method: "GET", path: "/api/connections", status: 200},
			{method: "GET", path: "/nowhere", status: 404},
			{method: "GET", path: "/json_rpc", status: 405},
			{body: one, status: 429, retryAfter: "1"},
			{path: "/", status: 429, retryAfter: "1"},
			{path: "/get_connections", status: 429, retryAfter: "1"},
			{method: "GET", path: "/get_connections", status: 429, retryAfter: "1"},
			{method: "GET", path: "/api/connections", status: 429, retryAfter: "1"},
			{method: "GET", path: "/nowhere", status: 429, retryAfter: "1"},
			{method: "GET", path: "/json_rpc", status: 429, retryAfter: "1"},
			{method: "GET", path: "/healthz", status: 200},
			{method: "GET", path: "/readyz", status: 200},
			{method: "GET", path: "/metrics", status: 200},
		}},
		{"clients do not pay for each other", limited(1, 1), []step{
			{from: "192.0.2.1:1", status: 200},
			{from: "192.0.2.1:2", status: 429, retryAfter: "1"},
			{from: "192.0.2.2:1", status: 200},
			{from: "[::ffff:192.0.2.2]:1", status: 429, retryAfter: "1"},
			{from: "[2001:db8:0:1::1]:1", status: 200},
			{from: "[2001:db8:0:1:ffff::2]:1", status: 429, retryAfter: "1"},
			{from: "[2001:db8:0:2::1]:1", status: 200},
			{from: "127.0.0.1:1", status: 200},
			{from: "127.1.2.3:1", status: 429, retryAfter: "1"}, // of the same host
			{from: "[::ffff:127.0.0.9]:1", status: 429, retryAfter: "1"},
			{from: "@", status: 200}, // the peers of a unix socket have no address
			{from: "@", status: 429, retryAfter: "1"},
			{from: "192.0.2.1:3", status: 429, retryAfter: "1"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) { run(t, test.opts, test.steps) })
	}
}

func TestForwardedFor(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	trusting := limited(1, 1)
	trusting.TrustedProxies = proxies
	for _, test := range []struct {
		name  string
		opts  Options
		steps []step
	}{
		{"a trusted peer speaks for its clients", trusting, []step{
			{from: "10.0.0.1:1", forwarded: []string{"192.0.2.1"}, status: 200},
			{from: "10.0.0.2:1", forwarded: []string{"192.0.2.1"}, status: 429, retryAfter: "1"},
			{from: "[::1]:1", forwarded: []string{"192.0.2.1"}, status: 429, retryAfter: "1"},
			{from: "192.0.2.1:1", status: 429, retryAfter: "1"},
			{from: "10.0.0.1:1", forwarded: []string{"192.0.2.2"}, status: 200},
			{from: "10.0.0.1:1", forwarded: []string{"2001:db8::1"}, status: 200},
			{from: "10.0.0.1:1", forwarded: []string{"2001:db8::2"}, status: 429, retryAfter: "1"},
		}},
		{"only what trusted peers added counts", trusting, []step{
			{from: "10.0.0.1:1", forwarded: []string{"198.51.100.1, 192.0.2.1, 10.9.9.9"}, status: 200},
			{from: "10.0.0.1:1", forwarded: []string{"198.51.100.2", "192.0.2.1"}, status: 429, retryAfter: "1"},
		}},
		{"an untrusted peer speaks for itself", trusting, []step{
			{from: "192.0.2.1:1", forwarded: []string{"198.51.100.1"}, status: 200},
			{from: "192.0.2.1:1", forwarded: []string{"198.51.100.2"}, status: 429, retryAfter: "1"},
			{from: "198.51.100.1:1", status: 200},
		}},
		{"a trusted peer that names nobody is the client", trusting, []step{
			{from: "10.0.0.1:1", status: 200},
			{from: "10.0.0.1:1", forwarded: []string{"somebody"}, status: 429, retryAfter: "1"},
			{from: "10.0.0.1:1", forwarded: []string{"10.0.0.2"}, status: 429, retryAfter: "1"},
			{from: "10.0.0.2:1", status: 200},
		}},
		{"nobody is trusted", limited(1, 1), []step{
			{from: "10.0.0.1:1", forwarded: []string{"192.0.2.1"}, status: 200},
			{from: "10.0.0.1:1", forwarded: []string{"192.0.2.2"}, status: 429, retryAfter: "1"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) { run(t, test.opts, test.steps) })
	}
}

// The client of a unix socket has no address, whatever the name is that it has bound, and speaks for nobody.
func TestForwardedForByUnixSocket(t *testing.T) {
	t.Chdir(t.TempDir()) // the names are relative: a path of it may be too long, and would not look like an address
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	clients := make(chan netip.Addr, 1)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	of := func(_ http.ResponseWriter, r *http.Request) { clients <- addressOf(r) }
	server := &http.Server{Handler: clientIP(trusted, http.HandlerFunc(of))}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { server.Close(); <-done }()
	for _, name := range []string{"", "10.9.8.7:1", "192.0.2.1:1"} {
		conn, err := (&net.Dialer{LocalAddr: &net.UnixAddr{Name: name, Net: "unix"}}).DialContext(t.Context(), "unix", "socket")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := <-clients; got.IsValid() {
			t.Errorf("who has bound %q is taken for %v", name, got)
		}
		conn.Close()
	}
}

func TestTooManyRequestsIsExact(t *testing.T) {
	opts := limited(0.25, 1)
	opts.Now = func() time.Time { return time.Unix(1700000000, 0) }
	h := NewHandler(opts)
	serve(h, httptest.NewRequest("GET", "/api/connections", nil))
	for _, test := range []struct{ method, path, body string }{
		{"POST", "/json_rpc", tooManyEnvelope},
		{"POST", "/", tooManyEnvelope},
		{"POST", "/get_connections", tooManyBare},
		{"GET", "/get_connections", tooManyBare},
		{"GET", "/api/connections", tooManyRest},
		{"GET", "/nowhere", tooManyRest},
	} {
		got := serve(h, httptest.NewRequest(test.method, test.path, strings.NewReader("{}")))
		if diff := cmp.Diff(jsonResponse(429, test.body, "Retry-After", "4"), got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
}

// Not one call of a batch is made that cannot be paid as a whole.
func TestARefusedBatchIsNotExecuted(t *testing.T) {
	opts := limited(1, 5)
	calls := 0
	opts.Router.Handle("count", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		calls++
		return dst, nil
	})
	opts.Now = func() time.Time { return time.Unix(1700000000, 0) }
	body := batchOf(6, `{"jsonrpc":"2.0","method":"count"}`)
	got := serve(NewHandler(opts), httptest.NewRequest("POST", "/json_rpc", strings.NewReader(body)))
	if diff := cmp.Diff(routed(jsonResponse(429, tooManyEnvelope, "Retry-After", "2")), got); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	if calls != 0 {
		t.Errorf("%d calls made", calls)
	}
}

// A refused request is not read: its client could make that take long.
func TestARefusedBodyIsNotRead(t *testing.T) {
	opts := limited(1, 1)
	opts.Now = func() time.Time { return time.Unix(1700000000, 0) }
	h := NewHandler(opts)
	serve(h, httptest.NewRequest("GET", "/api/connections", nil))
	body := strings.NewReader(one)
	if got := serve(h, httptest.NewRequest("POST", "/json_rpc", body)); got.Status != 429 {
		t.Errorf("status %d, want 429", got.Status)
	}
	if body.Len() != len(one) {
		t.Errorf("%d bytes of the body were read", len(one)-body.Len())
	}
}

func TestTheSilentestClientIsForgottenFirst(t *testing.T) {
	now := time.Unix(1700000000, 0)
	l := newRateLimit(1, 1, func() time.Time { return now }, func(Refusal) {})
	client := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/256, i%256)) }
	admitted := func(i int) bool {
		_, ok := l.take(client(i), 1, 1)
		return ok
	}
	for i := range maxClients {
		if !admitted(i) {
			t.Fatalf("client %d is refused its first request", i)
		}
	}
	if admitted(0) { // which makes client 1 the silentest
		t.Error("client 0 is forgotten below the bound")
	}
	if !admitted(maxClients) {
		t.Error("a new client is refused")
	}
	if got := l.clients.Len(); got != maxClients {
		t.Errorf("%d clients are remembered, want %d", got, maxClients)
	}
	if admitted(0) {
		t.Error("client 0 is forgotten although client 1 was silent longer")
	}
	if !admitted(1) {
		t.Error("client 1 is remembered beyond the bound")
	}
}
