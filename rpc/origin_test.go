package rpc

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOrigin(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"*", "*"},
		{"https://example.org", "https://example.org"},
		{"HTTPS://Example.ORG", "https://example.org"},
		{"https://example.org:443", "https://example.org"},
		{"http://example.org:80", "http://example.org"},
		{"https://example.org:80", "https://example.org:80"},
		{"http://localhost:3000", "http://localhost:3000"},
		{"http://[::1]:3000", "http://[::1]:3000"},
		{"chrome-extension://abcdef", "chrome-extension://abcdef"},
	} {
		if got, err := ParseOrigin(test.text); err != nil || got != test.want {
			t.Errorf("%q: %q, %v, want %q", test.text, got, err, test.want)
		}
	}
	const want = "want an origin such as https://example.org or http://localhost:3000, without a path, or * for any"
	for _, text := range []string{
		"", "null", "example.org", "//example.org", "https://", "https://example.org/", "https://example.org/a", "https://example.org?a",
		"https://user@example.org", "https://*.example.org", "https://example.org:x", "https://example.org:", "file:///a", "https:example.org",
	} {
		if got, err := ParseOrigin(text); err == nil || err.Error() != want {
			t.Errorf("%q: %q, error %v", text, got, err)
		}
	}
}

// from is a request as a browser makes it for a page.
func from(method, path, origin string, more ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	return r
}

// corsOnly are the headers of an answer that CORS has to do with.
func corsOnly(h http.Header) map[string]string {
	only := map[string]string{}
	for name, values := range h {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			only[name] = strings.Join(values, ", ")
		}
	}
	return only
}

func TestOrigins(t *testing.T) {
	const listed, other = "https://example.org", "https://evil.example"
	var (
		plain   = map[string]string{"Vary": "Accept-Encoding"}
		refused = map[string]string{"Vary": "Origin"}
		unread  = map[string]string{"Vary": "Origin, Accept-Encoding"}
		read    = map[string]string{
			"Access-Control-Allow-Origin": listed, "Access-Control-Expose-Headers": "Www-Authenticate, Retry-After", "Vary": "Origin, Accept-Encoding",
		}
		readByAll = map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Www-Authenticate, Retry-After", "Vary": "Origin, Accept-Encoding",
		}
	)
	asked := func(origin, method, headers string) map[string]string {
		h := map[string]string{
			"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": method, "Access-Control-Max-Age": "600",
			"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
		}
		if headers != "" {
			h["Access-Control-Allow-Headers"] = headers
		}
		return h
	}
	notAsked := map[string]string{"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Accept-Encoding"}
	const askMethod, askHeaders = "Access-Control-Request-Method", "Access-Control-Request-Headers"
	for _, test := range []struct {
		name    string
		origins []string
		request *http.Request
		status  int
		headers map[string]string
	}{
		{"no browser", nil, from("POST", "/get_connections", ""), 200, plain},
		{"the daemon's own page", nil, from("POST", "/get_connections", "http://example.com"), 200, plain},
		{"another origin", nil, from("POST", "/get_connections", other), 403, map[string]string{}},
		{"another port", nil, from("POST", "/get_connections", "http://example.com:3000"), 403, map[string]string{}},
		{"another path", nil, from("POST", "/json_rpc", other), 403, map[string]string{}},
		{"no path at all", nil, from("POST", "/nowhere", other), 403, map[string]string{}},
		{"a file or a sandbox", nil, from("POST", "/get_connections", "null"), 403, map[string]string{}},
		{"a new browser says so itself", nil, from("POST", "/get_connections", "", "Sec-Fetch-Site", "cross-site"), 403, map[string]string{}},
		{"same site, other origin", nil, from("POST", "/get_connections", "http://localhost:3000", "Sec-Fetch-Site", "same-site"), 403, map[string]string{}},
		{"same origin behind a proxy", nil, from("POST", "/get_connections", "https://example.com:8443", "Sec-Fetch-Site", "same-origin"), 200, plain},
		{"typed by its user", nil, from("POST", "/get_connections", "", "Sec-Fetch-Site", "none"), 200, plain},
		{"GET does no harm", nil, from("GET", "/get_connections", other, "Sec-Fetch-Site", "cross-site"), 200, plain},
		{"HEAD does no harm", nil, from("HEAD", "/api/connections", other), 200, plain},
		{"other method", nil, from("DELETE", "/get_connections", other), 403, map[string]string{}},
		{"no preflight", nil, from("OPTIONS", "/json_rpc", other, askMethod, "POST"), 405, plain},

		{"listed", []string{listed}, from("POST", "/get_connections", listed), 200, read},
		{"listed, GET", []string{listed}, from("GET", "/api/connections", listed), 200, read},
		{"listed, new browser", []string{listed}, from("POST", "/get_connections", listed, "Sec-Fetch-Site", "cross-site"), 200, read},
		{"listed, second", []string{"https://a.example", listed}, from("POST", "/get_connections", listed), 200, read},
		{"listed, not found", []string{listed}, from("GET", "/nowhere", listed), 404, read},
		{"listed, health", []string{listed}, from("GET", "/healthz", listed), 200, read},
		{"not listed", []string{listed}, from("POST", "/get_connections", other), 403, refused},
		{"not listed, GET", []string{listed}, from("GET", "/get_connections", other), 200, unread},
		{"longer than listed", []string{listed}, from("POST", "/get_connections", listed+".evil.example"), 403, refused},
		{"other scheme than listed", []string{listed}, from("POST", "/get_connections", "http://example.org"), 403, refused},
		{"no browser, listed", []string{listed}, from("POST", "/get_connections", ""), 200, unread},
		{"any", []string{"*"}, from("POST", "/get_connections", other), 200, readByAll},
		{"any, a sandbox", []string{"*"}, from("POST", "/get_connections", "null", "Sec-Fetch-Site", "cross-site"), 200, readByAll},

		{"preflight", []string{listed}, from("OPTIONS", "/json_rpc", listed, askMethod, "POST"), 204, asked(listed, "POST", "")},
		{
			"preflight with headers",
			[]string{listed},
			from("OPTIONS", "/json_rpc", listed, askMethod, "POST", askHeaders, "authorization,content-type"),
			204, asked(listed, "POST", "Authorization, Content-Type"),
		},
		{"preflight of any", []string{"*"}, from("OPTIONS", "/json_rpc", other, askMethod, "GET"), 204, asked("*", "GET", "")},
		{"preflight, not listed", []string{listed}, from("OPTIONS", "/json_rpc", other, askMethod, "POST"), 405, notAsked},
		{"preflight of a method that is none", []string{listed}, from("OPTIONS", "/json_rpc", listed, askMethod, "DELETE"), 405, notAsked},
		{"preflight of another header", []string{listed}, from("OPTIONS", "/json_rpc", listed, askMethod, "POST", askHeaders, "x-secret"), 405, notAsked},
		{"OPTIONS, no preflight", []string{listed}, from("OPTIONS", "/json_rpc", listed), 405, read},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := testOptions(io.Discard)
			opts.Origins = test.origins
			got := serve(NewHandler(opts), test.request)
			if got.Status != test.status {
				t.Errorf("status %d, want %d: %s", got.Status, test.status, got.Body)
			}
			if diff := cmp.Diff(test.headers, corsOnly(got.Header)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostOfAnotherOriginIsExact(t *testing.T) {
	const message = `"pages of the origin \"https://evil.example\" are not allowed to post: want one given by --rpc-access-control-origins"`
	for path, want := range map[string]string{
		"/api/connections": `{"error":` + message + `}`,
		"/get_connections": `{"error":{"code":403,"message":` + message + `}}`,
		"/json_rpc":        `{"error":{"code":403,"message":` + message + `},"id":null,"jsonrpc":"2.0"}`,
	} {
		got := serve(NewHandler(testOptions(io.Discard)), from("POST", path, "https://evil.example"))
		if diff := cmp.Diff(jsonResponse(403, want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// A page computes digest credentials itself: it is told the challenge, and that it is held back, and may send the header.
func TestOriginsWithALogin(t *testing.T) {
	const origin = "https://example.org"
	opts := testOptions(io.Discard)
	opts.Origins = []string{origin}
	opts.Login = Login{User: "user", Password: "pass"}
	opts.Rate, opts.Burst = 1e-9, 3
	h := NewHandler(opts)
	preflight := serve(h, from("OPTIONS", "/json_rpc", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"))
	if got := preflight.Header.Get("Access-Control-Allow-Headers"); preflight.Status != 204 || got != "Authorization" {
		t.Errorf("preflight: status %d, allowed headers %q", preflight.Status, got)
	}
	challenged := serve(h, from("POST", "/json_rpc", origin))
	if got := challenged.Header.Get("Access-Control-Allow-Origin"); challenged.Status != 401 || got != origin {
		t.Errorf("without credentials: status %d, allowed origin %q", challenged.Status, got)
	}
	request := httptest.NewRequest("POST", "/json_rpc", strings.NewReader(one))
	request.Header.Set("Origin", origin)
	request.Header.Set("Authorization", rightAttempt().authorization(nonceIn(challenged)))
	if got := serve(h, request); got.Status != 200 || got.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("with credentials: status %d, headers %v", got.Status, got.Header)
	}
	for _, request := range []*http.Request{
		from("POST", "/json_rpc", origin), from("OPTIONS", "/json_rpc", origin, "Access-Control-Request-Method", "POST"),
	} {
		if got := serve(h, request); got.Status != 429 || got.Header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s past the rate: status %d, headers %v", request.Method, got.Status, got.Header)
		}
	}
}
