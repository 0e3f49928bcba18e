package rpc

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

var userPass = Login{User: "user", Password: "pass"}

// All but health needs the login; with a token too, what has no token does not even hear of a login.
func TestLogin(t *testing.T) {
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200},
		{"HEAD", "/readyz", 200},
		{"POST", "/healthz", 405},
		{"GET", "/healthz/", 401},
		{"GET", "/health%7A", 401},
		{"GET", "/metrics", 401},
		{"POST", "/json_rpc", 401},
		{"POST", "/", 401},
		{"GET", "/", 401},
		{"GET", "/get_connections", 401},
		{"GET", "/api/connections", 401},
		{"GET", "/nowhere", 401},
		{"OPTIONS", "/json_rpc", 401},
		{"BREW", "/coffee", 401},
	} {
		opts := testOptions(io.Discard)
		opts.Login = userPass
		if got := serve(NewHandler(opts), httptest.NewRequest(test.method, test.path, nil)); got.Status != test.status {
			t.Errorf("%s %s: status %d, want %d", test.method, test.path, got.Status, test.status)
		}
	}
}

func TestLoginLetsIn(t *testing.T) {
	opts := testOptions(io.Discard)
	opts.Login = userPass
	h := NewHandler(opts)
	for i, path := range []string{"/json_rpc", "/get_connections", "/nowhere"} {
		nonce := nonceIn(serve(h, httptest.NewRequest("POST", path, nil)))
		request := httptest.NewRequest("POST", path, strings.NewReader(""))
		request.Header.Set("Authorization", rightAttempt().with(func(a *attempt) { a.uri = path }).authorization(nonce))
		if got, want := serve(h, request).Status, []int{200, 200, 404}[i]; got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
}

// Metrics that need a secret are no place to guess at it without limit.
func TestMetricsAreLimitedWhereTheyNeedASecret(t *testing.T) {
	opts := limited(1, 1)
	opts.Login = userPass
	run(t, opts, []step{
		{method: "GET", path: "/metrics", status: 401},
		{method: "GET", path: "/metrics", status: 429, retryAfter: "1"},
		{method: "GET", path: "/healthz", status: 200},
		{method: "GET", path: "/readyz", status: 200},
	})
}

// The order in which a request is refused, from the last check to the first: each is made wrong in turn.
func TestOrderOfChecks(t *testing.T) {
	opts := withTokens(t, io.Discard)
	opts.Login = userPass
	opts.Rate, opts.Burst = 1e-9, 4
	h := NewHandler(opts)
	request := httptest.NewRequest("POST", "/"+firstToken+"/nowhere", nil)
	var got []int
	for _, spoil := range []func(){
		func() {},
		func() { request.Header.Set("Origin", "https://evil.example") },
		func() { request.Host = "evil.example" },
		func() { request.URL.Path = "/" + firstToken + "x/nowhere" },
		func() {},
	} {
		spoil()
		response := serve(h, request)
		got = append(got, response.Status)
		if response.Status == 403 && strings.Contains(response.Body, "origin") != (len(got) == 2) {
			t.Errorf("refusal %d: %s", len(got), response.Body)
		}
	}
	if diff := cmp.Diff([]int{401, 403, 403, 404, 429}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	opts := withTokens(t, io.Discard)
	opts.Login = userPass
	var got []Refusal
	opts.Refused = func(r Refusal) { got = append(got, r) }
	h := NewHandler(opts)
	path := "/" + firstToken + "/json_rpc"
	for _, change := range []func(r *attempt) (target, host, origin string){
		func(*attempt) (string, string, string) { return path, "localhost", "" },
		func(a *attempt) (string, string, string) { a.password = "wrong"; return path, "localhost", "" },
		func(*attempt) (string, string, string) { return path, "evil.example", "" },
		func(*attempt) (string, string, string) { return path, "localhost", "https://evil.example" },
		func(*attempt) (string, string, string) { return "/json_rpc", "localhost", "" },
		func(*attempt) (string, string, string) { return "/" + firstToken + "x/json_rpc", "localhost", "" },
	} {
		challenge := httptest.NewRequest("POST", path, nil)
		nonce := nonceIn(serve(h, challenge)) // which is no refusal
		a := rightAttempt()
		target, host, origin := change(&a)
		a.uri = target
		r := httptest.NewRequest("POST", target, strings.NewReader(one))
		r.Host = host
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		r.Header.Set("Authorization", a.authorization(nonce))
		serve(h, r)
	}
	if diff := cmp.Diff([]Refusal{RefusedLogin, RefusedHost, RefusedOrigin, RefusedToken, RefusedToken}, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func TestGuessesAreLoggedOnceAMinute(t *testing.T) {
	var log bytes.Buffer
	c := clock{now: time.Unix(1700000000, 0)}
	opts := withTokens(t, &log)
	opts.Login = userPass
	opts.Now = func() time.Time { return c.now }
	h := NewHandler(opts)
	login := func(from string) {
		r := httptest.NewRequest("POST", "/"+firstToken+"/json_rpc", nil)
		r.RemoteAddr = from
		r.Header.Set("Authorization", "Digest nothing")
		serve(h, r)
	}
	token := func(from, first string) {
		r := httptest.NewRequest("GET", "/"+first+"/json_rpc", nil)
		r.RemoteAddr = from
		serve(h, r)
	}
	const a, b = "192.0.2.1:1", "[2001:db8::1]:1"
	login(a) // logged
	for range 3 {
		login(a)
	}
	token(a, "a-wrong-one-of-20-ch")
	token(a, "favicon.ico")
	login(b) // logged
	c.advance(time.Minute - 1)
	login("[2001:db8::2]:1") // of the same network
	login(a)
	c.advance(1)
	login(a) // logged
	login(a)
	c.advance(time.Hour)
	token(b, "a-wrong-one-of-20-ch") // logged
	token("@", "a-wrong-one-of-20-ch")
	event := func(client string, tokens, logins float64) map[string]any {
		return map[string]any{
			"level": "warn", "client": client, "wrong_tokens": tokens, "failed_logins": logins, "message": "access refused",
		}
	}
	want := []map[string]any{
		event("192.0.2.1", 0, 1),
		event("2001:db8::/64", 0, 1),
		event("192.0.2.1", 1, 5),
		event("2001:db8::/64", 1, 1),
		event("without an address", 1, 0),
	}
	if diff := cmp.Diff(want, logLines(t, log.String())); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestGuessersAreForgotten(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1700000000, 0)
	l := newGuessLog(zerolog.New(&log), func() time.Time { return now })
	for i := range maxGuessers + 1 {
		l.note(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/256, i%256)), RefusedLogin)
	}
	if got := l.clients.Len(); got != maxGuessers {
		t.Errorf("%d clients are remembered, want %d", got, maxGuessers)
	}
	log.Reset()
	l.note(netip.MustParseAddr("10.0.0.1"), RefusedLogin) // remembered
	l.note(netip.MustParseAddr("10.0.0.0"), RefusedLogin) // not any more
	if got := logLines(t, log.String()); len(got) != 1 || got[0]["client"] != "10.0.0.0" {
		t.Errorf("logged %v, want one event, of 10.0.0.0", got)
	}
}
