package rpc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// An origin that is accepted is written as browsers write it, is one to the standard library too, and lets in the pages of
// that origin and of no other.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{
		"*", "https://example.org", "HTTPS://Example.ORG:443", "http://example.org:80", "http://[::1]:3000", "chrome-extension://abcdef", "null", "", "example.org", "https://",
		"https://example.org/", "https://user@example.org", "https://example.org:", "https://example.org:x", "file:///a", "https://a b", "https://ü.example", "https://%41",
		"https://[fe80::1%25eth0]", "https://example.org:080", "https://example.org:0", "https://exa\u212Aple.org", "http://a:80:80", "a+b.c-d://x",
	} {
		f.Add(s, "https://evil.example")
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		origin, err := ParseOrigin(s)
		if err != nil {
			if err.Error() != "want an origin such as https://example.org or http://localhost:3000, without a path, or * for any" {
				t.Fatalf("%q: error %v", s, err)
			}
			return
		}
		if again, err := ParseOrigin(origin); err != nil || again != origin {
			t.Fatalf("%q is %q, and that is %q, error %v", s, origin, again, err)
		}
		if origin == anyName {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || origin != strings.ToLower(origin) || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			t.Fatalf("%q is %q", s, origin)
		}
		if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
			t.Fatalf("%q is %q, which browsers write without the port", s, origin)
		}

		// checkOrigin panics for one that the standard library does not take.
		letIn := func(from string) (in bool) {
			h := checkOrigin([]string{origin}, func(*http.Request) face { return bareFace }, func(Refusal) {})(
				http.HandlerFunc(func(http.ResponseWriter, *http.Request) { in = true }))
			request := httptest.NewRequest("POST", "http://127.0.0.1:18081/", nil)
			request.Header["Origin"] = []string{from}
			h.ServeHTTP(httptest.NewRecorder(), request)
			return in
		}
		if !letIn(origin) {
			t.Fatalf("%q is not let in", origin)
		}
		if o, err := url.Parse(other); other != "" && other != origin && (err != nil || o.Host != "127.0.0.1:18081") && letIn(other) {
			t.Fatalf("%q is let in, where %q is listed", other, origin)
		}
	})
}
