package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logged returns the events of log called "request", without their times.
func logged(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var events []map[string]any
	for line := range strings.Lines(log.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event["message"] != "request" {
			continue
		}
		if took, ok := event["duration_ms"].(float64); !ok || took < 1.5 || took > 3 { // the log of guesses looks at the clock too
			t.Errorf("duration_ms %v, want 1.5 or 3", event["duration_ms"])
		}
		delete(event, "duration_ms")
		delete(event, "message")
		events = append(events, event)
	}
	return events
}

// ticking is a clock that goes on by 1.5 ms each time it is looked at.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := time.Unix(0, 0)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(1500 * time.Microsecond)
		return now
	}
}

// The line of a request says who asked for what, and nothing that could be a secret.
func TestRequestLog(t *testing.T) {
	const batch = `[{"jsonrpc":"2.0","method":"get_info","id":1},{"jsonrpc":"2.0","method":"x"}]`
	line := func(verb, path string, status int, more ...any) map[string]any {
		event := map[string]any{
			"level": "info", "client": "192.0.2.1", "verb": verb, "path": path, "status": float64(status),
		}
		for i := 0; i < len(more); i += 2 {
			event[more[i].(string)] = more[i+1]
		}
		return event
	}
	for _, test := range []struct {
		name, verb, target, body string
		tokens                   bool
		want                     map[string]any
	}{
		{"a call", "POST", "/json_rpc", one, false, line("POST", "/json_rpc", 200, "method", "get_connections")},
		{"a method that is none", "POST", "/", `{"jsonrpc":"2.0","method":"hunter2","id":1}`, false, line("POST", "/", 200, "method", "unknown")},
		{"a batch", "POST", "/json_rpc", batch, false, line("POST", "/json_rpc", 200, "method", "batch", "calls", 2.0)},
		{"no JSON", "POST", "/json_rpc", "{", false, line("POST", "/json_rpc", 200, "method", "invalid")},
		{"no call", "POST", "/json_rpc", "{}", false, line("POST", "/json_rpc", 200, "method", "invalid")},
		{"bare", "POST", "/get_connections", "", false, line("POST", "/get_connections", 200, "method", "get_connections")},
		{"a query string", "GET", "/get_connections?pid=7&password=hunter2", "", false, line("GET", "/get_connections", 200, "method", "get_connections")},
		{"REST", "GET", "/api/connections", "", false, line("GET", "/api/connections", 200)},
		{"the headers alone", "HEAD", "/api/connections", "", false, line("HEAD", "/api/connections", 200)},
		{"health", "GET", "/healthz", "", false, line("GET", "/healthz", 200)},
		{"a path that is none", "GET", "/etc/passwd", "", false, line("GET", "/etc/passwd", 404)},
		{"a verb that is none", "HUNTER2", "/json_rpc", "", false, line("other", "/json_rpc", 405)},
		{"behind a token", "POST", "/" + firstToken + "/json_rpc", one, true, line("POST", "/json_rpc", 200, "method", "get_connections")},
		{"a wrong token", "POST", "/" + firstToken + "x/json_rpc", one, true, line("POST", "/json_rpc", 404)},
		{"a token where none is asked for", "POST", "/" + firstToken + "/json_rpc", one, false, line("POST", "/[redacted]/json_rpc", 404)},
		{"a token with a slip", "POST", "/a/" + firstToken + "%20!/json_rpc", one, false, line("POST", "/a/[redacted]/json_rpc", 404)},
		{
			"a long path", "GET", "/" + strings.Repeat("a/", 1000), "", false,
			line("GET", ("/" + strings.Repeat("a/", 100))[:128], 404),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			opts := testOptions(&log)
			opts.LogEvery, opts.Now = 1, ticking()
			if test.tokens {
				opts.AccessTokens = accessTokens(t, firstToken)
			}
			request := httptest.NewRequest(test.verb, test.target, strings.NewReader(test.body))
			request.Header.Set("Authorization", "Bearer hunter2")
			answer := serve(NewHandler(opts), request)
			test.want["bytes"] = float64(len(answer.Body))
			if test.verb == "HEAD" { // net/http sends no body
				test.want["bytes"] = 0.0
			}
			if diff := cmp.Diff([]map[string]any{test.want}, logged(t, &log)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			for _, secret := range []string{"hunter2", firstToken} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("%s is in the log: %s", secret, log.String())
				}
			}
		})
	}
}

// The client is the one that a proxy names, and a network no more than an address.
func TestRequestLogNamesClients(t *testing.T) {
	for _, test := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:7", "", "192.0.2.1"},
		{"192.0.2.1:7", "198.51.100.7", "192.0.2.1"},
		{"10.0.0.1:7", "198.51.100.7", "198.51.100.7"},
		{"[2001:db8::1:2]:7", "", "2001:db8::1:2"},
		{"@", "", "without an address"},
	} {
		var log bytes.Buffer
		opts := testOptions(&log)
		opts.LogEvery, opts.Now = 1, ticking()
		opts.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		request := httptest.NewRequest("GET", "/healthz", nil)
		request.RemoteAddr = test.peer
		if test.forwarded != "" {
			request.Header.Set("X-Forwarded-For", test.forwarded)
		}
		serve(NewHandler(opts), request)
		events := logged(t, &log)
		if len(events) != 1 || events[0]["client"] != test.want {
			t.Errorf("%s for %q: %v, want the client %s", test.peer, test.forwarded, events, test.want)
		}
	}
}

// One of so many is logged, and each that the daemon failed to answer.
func TestRequestLogSamples(t *testing.T) {
	for every, want := range map[int][]string{
		0: nil,
		1: {"200", "500", "200", "200", "200", "500", "200", "500"},
		3: {"200", "500", "200", "500", "200", "500"},
		9: {"200", "500", "500", "500"},
	} {
		var log bytes.Buffer
		opts := testOptions(&log)
		opts.LogEvery, opts.Now = every, ticking()
		opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "fail" {
				panic("a fault")
			}
			writeJSON(w, http.StatusOK, []byte("{}"))
		})
		h := NewHandler(opts)
		for _, query := range []string{"", "?fail", "", "", "", "?fail", "", "?fail"} {
			statusOf(h, "/api/connections"+query)
		}
		var got []string
		for _, event := range logged(t, &log) {
			got = append(got, fmt.Sprint(event["status"]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("1 of %d (-want +got):\n%s", every, diff)
		}
	}
}
