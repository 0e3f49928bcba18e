package rpc

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	firstToken  = "abcdefghijklmnop"
	secondToken = "A.b_c~d-0123456789"
)

func accessTokens(t testing.TB, texts ...string) []AccessToken {
	t.Helper()
	var tokens []AccessToken
	for _, text := range texts {
		token, err := ParseAccessToken(text)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	return tokens
}

func withTokens(t testing.TB, log io.Writer) Options {
	opts := testOptions(log)
	opts.AccessTokens = accessTokens(t, firstToken, secondToken)
	return opts
}

func TestParseAccessToken(t *testing.T) {
	const want = "want 16 to 256 characters of A-Z, a-z, 0-9, ., _, ~ and -, as openssl rand -hex 16 prints"
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{firstToken, true},
		{secondToken, true},
		{strings.Repeat("Z", 256), true},
		{strings.Repeat("~", 16), true},
		{"", false},
		{strings.Repeat("z", 15), false},
		{strings.Repeat("z", 257), false},
		{"get_connections", false},
		{"abcdefgh/ijklmnop", false},
		{"abcdefgh%2Fijklmnop", false},
		{"abcdefgh ijklmnop", false},
		{"abcdefgh\x00ijklmnop", false},
		{"abcdefghijklmnöp", false},
		{"abcdefgh?ijklmnop", false},
	} {
		_, err := ParseAccessToken(test.text)
		if test.ok != (err == nil) || err != nil && err.Error() != want {
			t.Errorf("%q: error %v", test.text, err)
		}
	}
}

func TestPrintedTokensAreNotRead(t *testing.T) {
	token := accessTokens(t, firstToken)[0]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		want := "[redacted]"
		if verb == "%T" {
			want = "rpc.AccessToken"
		}
		if got := fmt.Sprintf(verb, token); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
	}
	text, err := json.Marshal(map[string]any{"one": token, "list": []AccessToken{token}, "pointer": &token})
	if want := `{"list":["[redacted]"],"one":"[redacted]","pointer":"[redacted]"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	if got := token.String(); got != "[redacted]" {
		t.Errorf("String: %s", got)
	}
}

// Each candidate is compared with each token, and hashes of one length are.
func TestEveryTokenIsCompared(t *testing.T) {
	tokens := accessTokens(t, firstToken, secondToken, strings.Repeat("x", 200))
	for candidate, want := range map[string]bool{
		firstToken: true, secondToken: true, strings.Repeat("x", 200): true,
		"": false, "a": false, firstToken[:15]: false, firstToken + "q": false, strings.ToUpper(firstToken): false, strings.Repeat("x", 16<<10): false,
	} {
		compared := 0
		got := isOneOf(candidate, tokens, func(x, y []byte) int {
			compared++
			if len(x) != 32 || len(y) != 32 {
				t.Errorf("%d bytes are compared with %d", len(x), len(y))
			}
			return subtle.ConstantTimeCompare(x, y)
		})
		if got != want || compared != len(tokens) {
			t.Errorf("%.20q: %t after %d comparisons, want %t after %d", candidate, got, compared, want, len(tokens))
		}
	}
	if isOneOf("", []AccessToken{{}}, subtle.ConstantTimeCompare) {
		t.Error("the zero token is that of an empty path")
	}
}

func TestTokenPaths(t *testing.T) {
	const call = `{"jsonrpc":"2.0","method":"get_connections","params":{"pid":7},"id":"0"}`
	envelope := routed(jsonResponse(200, `{"id":"0","jsonrpc":"2.0","result":{"params":{"pid":7}}}`))
	wrong := jsonResponse(404, `{"error":"Not found"}`) // ends before the routes
	unknown := routed(wrong)
	for _, test := range []struct {
		method, target, body string
		want                 response
	}{
		{"POST", "/TOKEN/", call, envelope},
		{"POST", "/TOKEN", call, envelope},
		{"POST", "/TOKEN?x=1", call, envelope},
		{"POST", "/TOKEN/json_rpc", call, envelope},
		{"POST", "/TOKEN/get_connections", `{"pid":7}`, routed(jsonResponse(200, `{"params":{"pid":7}}`))},
		{"GET", "/TOKEN/get_connections?pid=7", "", routed(jsonResponse(200, `{"params":{"pid":7}}`))},
		{"GET", "/TOKEN/api/connections", "", routed(jsonResponse(200, `"connections"`))},
		{"GET", "/TOKEN/metrics", "", routed(jsonResponse(200, `"metrics"`))},
		{"GET", "/TOKEN/healthz", "", routed(jsonResponse(200, `"health"`))},
		{"GET", "/TOKEN/readyz", "", routed(jsonResponse(200, `"ready"`))},
		{"GET", "/healthz", "", routed(jsonResponse(200, `"health"`))},
		{"GET", "/readyz", "", routed(jsonResponse(200, `"ready"`))},
		{
			"GET", "/TOKEN", "",
			routed(jsonResponse(405, `{"error":{"code":405,"data":"allowed: POST","message":"Method not allowed"},"id":null,"jsonrpc":"2.0"}`, "Allow", "POST")),
		},
		{
			"DELETE", "/TOKEN/get_connections", "",
			routed(jsonResponse(405, `{"error":{"code":405,"data":"allowed: GET, HEAD, POST","message":"Method not allowed"}}`, "Allow", "GET, HEAD, POST")),
		},

		{"GET", "/TOKEN/nowhere", "", unknown},
		{"GET", "/TOKEN/TOKEN/api/connections", "", unknown},
		{"POST", "/TOKEN//json_rpc", call, unknown},
		{"POST", "/TOKEN//", call, unknown},
		{"POST", "/TOKEN/json_rpc/", call, unknown},
		{"GET", "/TOKEN/get%5Fconnections", "", unknown},
		{"GET", "/TOKEN/get%255Fconnections", "", unknown},

		{"POST", "/", call, wrong},
		{"POST", "/json_rpc", call, wrong},
		{"GET", "/json_rpc", "", wrong},
		{"POST", "/get_connections", "", wrong},
		{"GET", "/get_connections", "", wrong},
		{"GET", "/api/connections", "", wrong},
		{"GET", "/metrics", "", wrong},
		{"GET", "/favicon.ico", "", wrong},
		{"POST", "//TOKEN/", call, wrong},
		{"POST", "/TOKENx/json_rpc", call, wrong},
		{"POST", "/TOKE/json_rpc", call, wrong},
		{"POST", "/TOKEN%2Fjson_rpc", call, wrong},
		{"POST", "/%54OKEN/json_rpc", call, wrong},
		{"POST", "/x/TOKEN/json_rpc", call, wrong},
		{"POST", "/token/json_rpc", call, wrong},
		{"GET", "/healthz/", "", wrong},
		{"GET", "/health%7A", "", wrong},
		{"BREW", "/coffee", "", wrong},
		{"OPTIONS", "*", "", wrong},
	} {
		for _, token := range []string{firstToken, secondToken} {
			target := strings.NewReplacer("TOKEN", token, "TOKE", token[:len(token)-1], "token", strings.Map(swapCase, token),
				"%54OKEN", fmt.Sprintf("%%%X%s", token[0], token[1:])).Replace(test.target)
			t.Run(test.method+" "+test.target, func(t *testing.T) {
				request := httptest.NewRequest(test.method, target, strings.NewReader(test.body))
				if diff := cmp.Diff(test.want, serve(NewHandler(withTokens(t, io.Discard)), request)); diff != "" {
					t.Errorf("response (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func swapCase(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// A client that guesses is held back like any other, and then learns nothing even from the right token.
func TestGuessesCountAgainstTheRate(t *testing.T) {
	opts := withTokens(t, io.Discard)
	opts.Rate, opts.Burst = 1, 5
	run(t, opts, []step{
		{path: "/", status: 404},
		{path: "/" + firstToken + "x/json_rpc", status: 404},
		{path: "/json_rpc", status: 404},
		{method: "GET", path: "/metrics", status: 404},
		{method: "GET", path: "/" + firstToken + "x/healthz", status: 404},
		{path: "/" + firstToken + "/json_rpc", body: one, status: 429, retryAfter: "1"},
		{method: "GET", path: "/" + firstToken + "/metrics", status: 429, retryAfter: "1"},
		{method: "GET", path: "/" + firstToken + "/healthz", status: 429, retryAfter: "1"},
		{path: "/" + firstToken + "x/json_rpc", status: 429, retryAfter: "1"},
		{method: "GET", path: "/healthz", status: 200},
		{method: "GET", path: "/readyz", status: 200},
		{after: time.Second, path: "/" + firstToken + "/json_rpc", body: one, status: 200},
	})
}

// The 429 is that of the path's face, and the same for a right and a wrong token.
func TestTooManyRequestsBelowATokenIsExact(t *testing.T) {
	opts := withTokens(t, io.Discard)
	opts.Rate, opts.Burst = 0.25, 1
	opts.Now = func() time.Time { return time.Unix(1700000000, 0) }
	h := NewHandler(opts)
	serve(h, httptest.NewRequest("GET", "/"+firstToken, nil))
	for _, test := range []struct{ below, body string }{
		{"", tooManyEnvelope},
		{"/", tooManyEnvelope},
		{"/json_rpc", tooManyEnvelope},
		{"/get_connections", tooManyBare},
		{"/get%5Fconnections", tooManyBare},
		{"/api/connections", tooManyRest},
		{"/nowhere", tooManyRest},
	} {
		for _, token := range []string{firstToken, secondToken, "a-wrong-one-of-20-ch", "favicon.ico"} {
			got := serve(h, httptest.NewRequest("POST", "/"+token+test.below, nil))
			if diff := cmp.Diff(jsonResponse(429, test.body, "Retry-After", "4"), got); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", token, test.below, diff)
			}
		}
	}
}

// The login of a path with a token is computed over the path as the client knows it.
func TestLoginBelowAToken(t *testing.T) {
	opts := withTokens(t, io.Discard)
	opts.Login = Login{User: "user", Password: "pass"}
	h := NewHandler(opts)
	target := "/" + firstToken + "/json_rpc"
	nonce := nonceIn(serve(h, httptest.NewRequest("POST", target, nil)))
	for uri, want := range map[string]int{target: 200, "/json_rpc": 401} {
		request := httptest.NewRequest("POST", target, strings.NewReader(one))
		request.Header.Set("Authorization", rightAttempt().with(func(a *attempt) { a.uri = uri }).authorization(nonce))
		if got := serve(h, request); got.Status != want {
			t.Errorf("uri %s: status %d, want %d", uri, got.Status, want)
		}
	}
	wrong := serve(h, httptest.NewRequest("POST", "/"+firstToken+"x/json_rpc", nil))
	if diff := cmp.Diff(jsonResponse(404, `{"error":"Not found"}`), wrong); diff != "" {
		t.Errorf("a wrong token is not asked for a login (-want +got):\n%s", diff)
	}
}

func TestTokensAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	opts := withTokens(t, &log)
	opts.Connections = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the handler's own") })
	h := NewHandler(opts)
	const guess = "a-wrong-one-of-20-ch"
	for _, target := range []string{"/" + firstToken + "/api/connections", "/" + guess + "/api/connections"} {
		serve(h, httptest.NewRequest("GET", target, nil))
	}
	serve(h, httptest.NewRequest("POST", "/"+firstToken+"/json_rpc", strings.NewReader(`{"jsonrpc":"2.0","method":"get_connections","params":{"pid":500},"id":1}`)))
	text := log.String()
	for _, secret := range []string{firstToken, guess} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the log:\n%s", secret, text)
		}
	}
	var messages []any
	for _, line := range logLines(t, text) {
		messages = append(messages, line["message"])
		if line["message"] == "handler panicked" && line["path"] != "/api/connections" {
			t.Errorf("path %q, want /api/connections", line["path"])
		}
	}
	if diff := cmp.Diff([]any{"handler panicked", "access refused", "method failed"}, messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// Whatever the path, what is answered is 404 unless the path starts with a token, and then the same as for the rest of it
// without tokens.
func FuzzTokenPath(f *testing.F) {
	for _, seed := range []string{
		"/", "/" + firstToken, "/" + firstToken + "/", "/" + firstToken + "/json_rpc", "/" + firstToken + "/get%5Fconnections",
		"/" + firstToken + "/%2541", "/" + firstToken + "/a%20b", "//" + firstToken, "/" + firstToken + "%2Fjson_rpc", "/healthz",
		"/%61bcdefghijklmnop/json_rpc", "/" + firstToken + "/" + firstToken, "/" + firstToken + "?/x", "/" + firstToken + "/100%25", "*",
		"/" + firstToken + "/..//api/connections", "/" + firstToken + "//", "http://h/" + firstToken + "/metrics",
		"/" + firstToken + "%2F ", "/" + firstToken + "/%2F ",
	} {
		f.Add(seed)
	}
	opts := testOptions(io.Discard)
	without := NewHandler(opts)
	opts.AccessTokens = accessTokens(f, firstToken)
	with := NewHandler(opts)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		ask := func(h http.Handler, u *url.URL) response {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = u
			return serve(h, r)
		}
		got := ask(with, u)
		path := u.Path
		if u.RawPath != "" {
			path = u.RawPath
		}
		if path == "/healthz" || path == "/readyz" {
			return
		}
		rest, ok := strings.CutPrefix(path, "/"+firstToken)
		if !ok || rest != "" && rest[0] != '/' {
			if diff := cmp.Diff(jsonResponse(404, `{"error":"Not found"}`), got); diff != "" {
				t.Fatalf("%q (-want +got):\n%s", target, diff)
			}
			return
		}
		if rest == "" {
			rest = "/"
		}
		below := *u
		below.Path, below.RawPath = rest, ""
		if u.RawPath != "" {
			below.RawPath = rest
			if below.Path, err = url.PathUnescape(rest); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(ask(without, &below), got); diff != "" {
			t.Fatalf("%q (-as %q without tokens +got):\n%s", target, rest, diff)
		}
	})
}
