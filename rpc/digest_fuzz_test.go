package rpc

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzAuthorization sends what it is given to a server whose password is known, and to one whose password is not.
// In the header NONCE stands for a nonce of the server, and RESPONSE for the response that is right for it in
// POST /json_rpc with nc=00000001 and cnonce="abc".
func FuzzAuthorization(f *testing.F) {
	for _, header := range []string{
		`Digest username="user", realm="monero-rpc", nonce="NONCE", uri="/json_rpc", cnonce="abc", nc=00000001, qop=auth, response="RESPONSE", algorithm=MD5`,
		`Digest username="user", realm="monero-rpc", nonce="NONCE", uri="/json_rpc", response="RESPONSE", opaque="null", qop=auth, nc=00000001, cnonce="abc"`,
		`Digest username="user", realm="monero-rpc", nonce="NONCE", uri="/json_rpc", response="RESPONSE", algorithm="MD5-sess", qop="auth", nc=00000001, cnonce="abc"`,
		`Digest username="us\er", realm="monero-rpc", nonce="NONCE", uri="http://h/json_rpc", response="RESPONSE", qop=auth, nc=00000001, cnonce="abc", username="user"`,
		`Digest algorithm=MD5,nonce="KkluKoDeTwIuSMA2rWkRkg==",realm="monero-rpc",response="65023faca0d17b5ea68d542f21eedd65",uri="/json_rpc",username="user",qop=auth,nc=00000001,cnonce="abc"`,
		`Digest username="user", realm="monero-rpc", nonce="NONCE", uri="/json_rpc", response="RESPONSE"`,
		`Digest username="user`, `Digest a="\`, `Digest =`, `Digest ,`, `Digest`, `Basic dXNlcjpwYXNz`, "Digest a=\"\xff\x00\"", ``,
	} {
		f.Add(header, "POST", "/json_rpc")
	}
	f.Add(`Digest username="user", realm="monero-rpc", nonce="NONCE", uri="/", response="RESPONSE", qop=auth, nc=00000001, cnonce="abc"`, "GET", "http://h")

	known := newDigestAuth(Login{User: "user", Password: "pass"}, time.Now, nil)
	unknown := newDigestAuth(Login{User: "user", Password: rand.Text()}, time.Now, nil)
	f.Fuzz(func(t *testing.T, header, method, target string) {
		for _, auth := range []*digestAuth{known, unknown} {
			nonce := auth.nonces.issue()
			sent := strings.NewReplacer("NONCE", nonce, "RESPONSE", rightAttempt().response(nonce)).Replace(header)
			letIn := false
			h := auth.require(func(*http.Request) face { return restFace },
				http.HandlerFunc(func(http.ResponseWriter, *http.Request) { letIn = true }))
			request := &http.Request{Method: method, RequestURI: target, Header: http.Header{"Authorization": {sent}}}
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, request)
			if !letIn {
				if recorder.Code != 401 || len(challenges(recorder.Header())) != 2 {
					t.Errorf("status %d, headers %v", recorder.Code, recorder.Header())
				}
				continue
			}
			if auth == unknown {
				t.Fatalf("%q is let in without the password", sent)
			}
			c, ok := parseCredentials(sent)
			if !ok {
				t.Fatalf("%q is let in although it cannot be read", sent)
			}
			a := rightAttempt().with(func(a *attempt) {
				a.uri, a.cnonce, a.nc, a.method, a.algorithm = c.uri, c.cnonce, fmt.Sprintf("%08x", c.nc), method, c.algorithm
			})
			if want := a.response(nonce); c.nonce != nonce || !strings.Contains(strings.ToLower(sent), want) {
				t.Errorf("%q is let in without the response %s", sent, want)
			}
			letIn = false
			if h.ServeHTTP(httptest.NewRecorder(), request); letIn {
				t.Errorf("%q is let in twice", sent)
			}
		}
	})
}
