package rpc

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hash is the H of RFC 7616, computed here a second time so that a mistake in the first does not agree with itself.
func hash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// An attempt is what a client puts into its credentials, and what it leaves out or writes otherwise.
type attempt struct {
	user, password, realm, uri, cnonce, nc, qop string
	method                                      string // that the response is computed for
	algorithm                                   string
	header                                      string // %s stands for each value in turn; "" is as in curl
}

func rightAttempt() attempt {
	return attempt{
		user: "user", password: "pass", realm: "monero-rpc", uri: "/json_rpc", cnonce: "abc", nc: "00000001",
		qop: "auth", method: "POST", algorithm: "MD5",
	}
}

func (a attempt) with(change func(*attempt)) attempt {
	change(&a)
	return a
}

func (a attempt) response(nonce string) string {
	a1 := hash(a.user + ":" + a.realm + ":" + a.password)
	if strings.EqualFold(a.algorithm, "MD5-sess") {
		a1 = hash(a1 + ":" + nonce + ":" + a.cnonce)
	}
	a2 := hash(a.method + ":" + a.uri)
	if a.qop == "" {
		return hash(a1 + ":" + nonce + ":" + a2)
	}
	return hash(a1 + ":" + nonce + ":" + a.nc + ":" + a.cnonce + ":" + a.qop + ":" + a2)
}

const asCurl = `Digest username="USER", realm="REALM", nonce="NONCE", uri="URI", cnonce="CNONCE", nc=NC, qop=QOP, response="RESPONSE", algorithm=ALGORITHM`

// authorization is the header, in which the words in capitals are replaced.
func (a attempt) authorization(nonce string) string {
	header := a.header
	if header == "" {
		header = asCurl
	}
	return strings.NewReplacer("USER", a.user, "REALM", a.realm, "CNONCE", a.cnonce, "NONCE", nonce, "URI", a.uri,
		"NC", a.nc, "QOP", a.qop, "RESPONSE", a.response(nonce), "ALGORITHM", a.algorithm).Replace(header)
}

// A guard is a digestAuth for user:pass before a handler that answers 200 "in".
type guard struct {
	http.Handler
	auth     *digestAuth
	clock    clock
	failures []netip.Addr
}

func newGuard() *guard {
	g := &guard{clock: clock{now: time.Unix(1700000000, 0)}}
	g.auth = newDigestAuth(Login{User: "user", Password: "pass"}, func() time.Time { return g.clock.now },
		func(client netip.Addr) { g.failures = append(g.failures, client) })
	faceOf := func(r *http.Request) face {
		switch r.URL.Path {
		case "/json_rpc", "/":
			return envelopeFace
		case "/get_connections":
			return bareFace
		}
		return restFace
	}
	in := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, []byte(`"in"`)) })
	g.Handler = g.auth.require(faceOf, in)
	return g
}

// send sends POST /json_rpc with the given Authorization headers.
func (g *guard) send(authorization ...string) response {
	r := httptest.NewRequest("POST", "/json_rpc", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return serve(g, r)
}

var challengeNonce = regexp.MustCompile(`nonce="([A-Za-z0-9+/]{43}=)"`)

// nonce asks for a challenge as a client does.
func (g *guard) nonce() string { return nonceIn(g.send()) }

func nonceIn(r response) string {
	return challengeNonce.FindStringSubmatch(challenges(r.Header)[0])[1]
}

// challenges are the values of a header that has monerod's name, which is not net/http's form of it.
func challenges(h map[string][]string) []string { return h["WWW-authenticate"] }

// unauthorized is the whole answer to a request that is not let in.
func unauthorized(nonce, stale, body string) response {
	return response{Status: 401, Body: body, Header: http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {fmt.Sprint(len(body))},
		"WWW-authenticate": {
			`Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="` + nonce + `",stale=` + stale,
			`Digest qop="auth",algorithm=MD5-sess,realm="monero-rpc",nonce="` + nonce + `",stale=` + stale,
		},
	}}
}

const unauthorizedEnvelope = `{"error":{"code":401,"message":"Unauthorized"},"id":null,"jsonrpc":"2.0"}`

var letIn = response{Status: 200, Body: `"in"`, Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"4"}}}

func TestResponseOf(t *testing.T) {
	for _, test := range []struct {
		name, a1, method string
		credentials      credentials
		want             string
	}{
		{
			"RFC 2617 section 3.5", md5Hex("Mufasa", "testrealm@host.com", "Circle Of Life"), "GET",
			credentials{nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", uri: "/dir/index.html", cnonce: "0a4f113b", nc: 1},
			"6629fae49393a05397450978507c4ef1",
		},
		{
			"RFC 7616 section 3.9.1", md5Hex("Mufasa", "http-auth@example.org", "Circle of Life"), "GET",
			credentials{
				nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri: "/dir/index.html",
				cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc: 1,
			},
			"8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"curl, let in by monerod", md5Hex("user", "monero-rpc", "pass"), "POST",
			credentials{
				nonce: "KkluKoDeTwIuSMA2rWkRkg==", uri: "/json_rpc",
				cnonce: "MTc4NGMwYzdkYzQ0ZGU0Mjk1MzI4ZDhmNGYwYmI1ODU=", nc: 1,
			},
			"65023faca0d17b5ea68d542f21eedd65",
		},
		{
			"requests with MD5-sess, let in by monerod",
			md5Hex(md5Hex("user", "monero-rpc", "pass"), "CtFXTK4Bkc9NXkNvCegfzw==", "aaa7c9a7a57ef609"), "POST",
			credentials{nonce: "CtFXTK4Bkc9NXkNvCegfzw==", uri: "/json_rpc", cnonce: "aaa7c9a7a57ef609", nc: 3},
			"6f3d5d995bbf753cc6389ad8bb97abe7",
		},
		{
			"a count of all digits", md5Hex("user", "monero-rpc", "pass"), "POST",
			credentials{nonce: "n", uri: "/json_rpc", cnonce: "c", nc: 0xfedcba98},
			hash(hash("user:monero-rpc:pass") + ":n:fedcba98:c:auth:" + hash("POST:/json_rpc")),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := responseOf(&test.credentials, test.method, test.a1); got != test.want {
				t.Errorf("response %s, want %s", got, test.want)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	for _, test := range []struct{ method, path, body string }{
		{"POST", "/json_rpc", unauthorizedEnvelope},
		{"GET", "/json_rpc", unauthorizedEnvelope},
		{"POST", "/", unauthorizedEnvelope},
		{"POST", "/get_connections", `{"error":{"code":401,"message":"Unauthorized"}}`},
		{"GET", "/api/connections", `{"error":"Unauthorized"}`},
		{"GET", "/nowhere", `{"error":"Unauthorized"}`},
	} {
		g := newGuard()
		body := strings.NewReader(one)
		got := serve(g, httptest.NewRequest(test.method, test.path, body))
		if diff := cmp.Diff(unauthorized(nonceIn(got), "false", test.body), got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
		if body.Len() != len(one) {
			t.Errorf("%s %s: %d bytes of the body were read", test.method, test.path, len(one)-body.Len())
		}
		if g.failures != nil {
			t.Errorf("%s %s: to have no credentials counts as a failure", test.method, test.path)
		}
	}
}

func TestCredentialsThatAreLetIn(t *testing.T) {
	right := rightAttempt()
	for _, test := range []struct {
		name    string
		attempt attempt
	}{
		{"curl", right},
		{"requests", attempt{
			user: "user", password: "pass", realm: "monero-rpc", uri: "/json_rpc", cnonce: "c6f7176abe5b2d91",
			nc: "00000001", qop: "auth", method: "POST", algorithm: "MD5-sess",
			header: `Digest username="USER", realm="REALM", nonce="NONCE", uri="URI", response="RESPONSE", algorithm="ALGORITHM", qop="QOP", nc=NC, cnonce="CNONCE"`,
		}},
		{"monero-ts", right.with(func(a *attempt) {
			a.uri = "http://127.0.0.1:18081/json_rpc"
			a.header = `Digest username="USER", realm="REALM", nonce="NONCE", uri="URI", response="RESPONSE", opaque="null", qop=QOP, nc=NC, cnonce="CNONCE"`
		})},
		{"monerod's own client", right.with(func(a *attempt) {
			a.header = `Digest algorithm=ALGORITHM,nonce="NONCE",realm="REALM",response="RESPONSE",uri="URI",username="USER",qop=QOP,nc=NC,cnonce="CNONCE"`
		})},
		{"any case of names, scheme, algorithm and response", right.with(func(a *attempt) {
			a.algorithm = "md5"
			a.header = `dIGEST Username="USER",Realm="REALM",Nonce="NONCE",Uri="URI",CNonce="CNONCE",Nc=NC,Qop="QOP",Response="` +
				`RESPONSE",Algorithm=ALGORITHM`
		})},
		{"a first count above 1", right.with(func(a *attempt) { a.nc = "00000002" })},
		{"the highest count", right.with(func(a *attempt) { a.nc = "ffffffff" })},
		{"parameters that nobody knows", right.with(func(a *attempt) { a.header = asCurl + `, opaque="", x=y, x="a,\"b"` })},
		{"everything quoted", right.with(func(a *attempt) {
			a.header = `Digest username="USER",realm="REALM",nonce="NONCE",uri="URI",cnonce="CNONCE",nc="NC",qop="QOP",response="RESPONSE",algorithm="ALGORITHM"`
		})},
		{"white space", right.with(func(a *attempt) {
			a.header = "Digest \t" + strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(asCurl, "Digest "), "=", " = "), ", ", "\t ,\t")
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGuard()
			if diff := cmp.Diff(letIn, g.send(test.attempt.authorization(g.nonce()))); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if g.failures != nil {
				t.Error("it counts as a failure")
			}
		})
	}
	t.Run("the response in capitals", func(t *testing.T) {
		g := newGuard()
		nonce := g.nonce()
		header := strings.ReplaceAll(right.authorization(nonce), right.response(nonce), strings.ToUpper(right.response(nonce)))
		if diff := cmp.Diff(letIn, g.send(header)); diff != "" {
			t.Errorf("response (-want +got):\n%s", diff)
		}
	})
}

// The nonce is the server's own in all of these, and stale is false in all of the answers: that it would be true is for
// those who know the password.
func TestCredentialsThatAreRefused(t *testing.T) {
	right := rightAttempt()
	without := func(parameter string) attempt {
		return right.with(func(a *attempt) {
			header := regexp.MustCompile(`\b`+parameter+`="?[A-Z]+"?(, )?`).ReplaceAllString(asCurl, "")
			a.header = strings.TrimSuffix(header, ", ")
		})
	}
	verbatim := func(header string) attempt { return right.with(func(a *attempt) { a.header = header }) }
	for _, test := range []struct {
		name    string
		attempt attempt
	}{
		{"wrong password", right.with(func(a *attempt) { a.password = "Pass" })},
		{"no password", right.with(func(a *attempt) { a.password = "" })},
		{"wrong user", right.with(func(a *attempt) { a.user = "root" })},
		{"wrong user and password", right.with(func(a *attempt) { a.user, a.password = "root", "toor" })},
		{"the right response under another name", verbatim(strings.Replace(asCurl, "USER", "root", 1))},
		{"the right response under a longer name", verbatim(strings.Replace(asCurl, "USER", "user2", 1))},
		{"other realm", right.with(func(a *attempt) { a.realm = "monero" })},
		{"the right response for another realm", verbatim(strings.Replace(asCurl, "REALM", "monero", 1))},
		{"other method", right.with(func(a *attempt) { a.method = "GET" })},
		{"other uri", right.with(func(a *attempt) { a.uri = "/get_connections" })},
		{"other uri, absolute", right.with(func(a *attempt) { a.uri = "http://127.0.0.1:18081/get_connections" })},
		{"uri with a query", right.with(func(a *attempt) { a.uri = "/json_rpc?" })},
		{"uri without path", right.with(func(a *attempt) { a.uri = "http://127.0.0.1:18081" })},
		{"the right response for another uri", verbatim(strings.Replace(asCurl, "URI", "/json_rpc/", 1))},
		{"the right response for another count", verbatim(strings.Replace(asCurl, "=NC", "="+"00000002", 1))},
		{"the right response for another cnonce", verbatim(strings.Replace(asCurl, "CNONCE", "abcd", 1))},
		{"the right response for another algorithm", verbatim(strings.Replace(asCurl, "ALGORITHM", "MD5-sess", 1))},
		{"the right response for another qop", verbatim(strings.Replace(asCurl, "QOP", "auth-int", 1))},
		{"the right response with a count of 0", verbatim(strings.Replace(asCurl, "=NC", "="+"00000000", 1))},
		{"the right response with a short count", verbatim(strings.Replace(asCurl, "=NC", "="+"1", 1))},
		{"algorithm SHA-256", right.with(func(a *attempt) { a.algorithm = "SHA-256" })},
		{"qop auth-int", right.with(func(a *attempt) { a.qop = "auth-int" })},
		{"without qop, as in RFC 2069", without("qop").with(func(a *attempt) { a.qop = "" })},
		{"without qop, nc and cnonce, as in RFC 2069", right.with(func(a *attempt) {
			a.qop = ""
			a.header = `Digest username="USER", realm="REALM", nonce="NONCE", uri="URI", response="RESPONSE", algorithm=ALGORITHM`
		})},
		{"without user name", without("username")},
		{"without realm", without("realm")},
		{"without nonce", without("nonce")},
		{"without uri", without("uri")},
		{"without response", without("response")},
		{"without cnonce", without("cnonce")},
		{"without nc", without("nc")},
		{"empty cnonce", right.with(func(a *attempt) { a.cnonce = "" })},
		{"empty algorithm", verbatim(strings.Replace(asCurl, "ALGORITHM", `""`, 1))},
		{"empty response", verbatim(strings.Replace(asCurl, "RESPONSE", "", 1))},
		{"response cut short", verbatim(strings.Replace(asCurl, "RESPONSE", "0", 1))},
		{"count 0", right.with(func(a *attempt) { a.nc = "00000000" })},
		{"short count", right.with(func(a *attempt) { a.nc = "1" })},
		{"long count", right.with(func(a *attempt) { a.nc = "000000001" })},
		{"count with a sign", right.with(func(a *attempt) { a.nc = "+0000001" })},
		{"count in capitals", right.with(func(a *attempt) { a.nc = "0000000A" })},
		{"a parameter twice", verbatim(asCurl + `, username="USER"`)},
		{"a parameter twice, otherwise", verbatim(asCurl + `, Uri="/get_connections"`)},
		{"comma at the end", verbatim(asCurl + ",")},
		{"commas missing", verbatim(strings.ReplaceAll(asCurl, ",", ""))},
		{"semicolon for a comma", verbatim(asCurl + `; x=y`)},
		{"quote missing", verbatim(strings.TrimSuffix(asCurl, "ALGORITHM") + `"MD5`)},
		{"escape of nothing", verbatim(strings.TrimSuffix(asCurl, "ALGORITHM") + `"MD5\`)},
		{"value missing", verbatim(strings.TrimSuffix(asCurl, "ALGORITHM"))},
		{"value missing that is not needed", verbatim(asCurl + `, x=`)},
		{"name missing", verbatim(asCurl + `, ="x"`)},
		{"equals sign missing", verbatim(asCurl + `, x`)},
		{"scheme only", verbatim("Digest")},
		{"scheme without space", verbatim(strings.Replace(asCurl, " ", "", 1))},
		{"scheme missing", verbatim(strings.TrimPrefix(asCurl, "Digest "))},
		{"other scheme", verbatim(strings.Replace(asCurl, "Digest", "Bearer", 1))},
		{"Basic with the right password", verbatim("Basic dXNlcjpwYXNz")},
		{"nothing", verbatim(" ")},
		{"junk", verbatim("Digest \x01\x02\xff")},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGuard()
			nonce := g.nonce()
			got := g.send(test.attempt.authorization(nonce))
			if diff := cmp.Diff(unauthorized(nonceIn(got), "false", unauthorizedEnvelope), got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if nonceIn(got) == nonce {
				t.Error("the nonce is the same again")
			}
			if diff := cmp.Diff([]string{"192.0.2.1"}, addresses(g.failures)); diff != "" {
				t.Errorf("failures (-want +got):\n%s", diff)
			}
			// A request that was refused spends nothing.
			if diff := cmp.Diff(letIn, g.send(right.authorization(nonce))); diff != "" {
				t.Errorf("right credentials with the same nonce (-want +got):\n%s", diff)
			}
		})
	}
}

func addresses(addrs []netip.Addr) []string {
	var text []string
	for _, addr := range addrs {
		text = append(text, addr.String())
	}
	return text
}

func TestTwoAuthorizationHeaders(t *testing.T) {
	g := newGuard()
	nonce := g.nonce()
	right := rightAttempt().authorization(nonce)
	for _, headers := range [][]string{{right, right}, {right, "Basic x"}, {"Basic x", right}, {}} {
		got := g.send(headers...)
		if diff := cmp.Diff(unauthorized(nonceIn(got), "false", unauthorizedEnvelope), got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", headers, diff)
		}
	}
}

func TestLoginThatNeedsEscapes(t *testing.T) {
	auth := newDigestAuth(Login{User: `us"e\r`, Password: "a:b"}, time.Now, nil)
	a := rightAttempt().with(func(a *attempt) {
		a.user, a.password = `us"e\r`, "a:b"
		a.header = strings.Replace(asCurl, "USER", `us\"e\\r`, 1)
	})
	r := httptest.NewRequest("POST", "/json_rpc", nil)
	if _, ok := auth.verify(r, []string{a.authorization(auth.nonces.issue())}); !ok {
		t.Error("the right credentials are refused")
	}
}

func TestURIAndTarget(t *testing.T) {
	for _, test := range []struct {
		uri, target string
		want        bool
	}{
		{"/json_rpc", "/json_rpc", true},
		{"/get_connections?pid=7", "/get_connections?pid=7", true},
		{"/get_connections", "/get_connections?pid=7", false},
		{"/get_connections?pid=7", "/get_connections", false},
		{"/get%5Fconnections", "/get_connections", false},
		{"/json_rpc", "http://example.org/json_rpc", true},
		{"http://example.org:18081/json_rpc", "/json_rpc", true},
		{"https://example.org/node/json_rpc", "/json_rpc", false},
		{"http://example.org/get?a=http://b/c", "/get?a=http://b/c", true},
		{"/json_rpc", "/get?a=http://b/json_rpc", false},
		{"http://example.org", "/", true},
		{"http://example.org/", "/", true},
		{"http://example.org?a=/b", "/?a=/b", true},
		{"http://example.org?a=/b", "/b", false},
		{"*", "*", true},
		{"*", "/", false},
		{"json_rpc", "/json_rpc", false},
	} {
		g := newGuard()
		a := rightAttempt().with(func(a *attempt) { a.uri = test.uri })
		r := httptest.NewRequest("POST", "/", nil)
		r.RequestURI = test.target
		r.Header.Set("Authorization", a.authorization(g.nonce()))
		if got := serve(g, r).Status == 200; got != test.want {
			t.Errorf("uri %s for a request of %s: let in is %t, want %t", test.uri, test.target, got, test.want)
		}
	}
}

func TestReplay(t *testing.T) {
	g := newGuard()
	right := rightAttempt()
	nonce := g.nonce()
	if diff := cmp.Diff(letIn, g.send(right.authorization(nonce))); diff != "" {
		t.Fatalf("first use (-want +got):\n%s", diff)
	}
	for _, again := range []attempt{
		right,
		right.with(func(a *attempt) { a.cnonce = "def" }),
		right.with(func(a *attempt) { a.algorithm = "MD5-sess" }),
	} {
		got := g.send(again.authorization(nonce))
		if diff := cmp.Diff(unauthorized(nonceIn(got), "true", unauthorizedEnvelope), got); diff != "" {
			t.Errorf("same count again (-want +got):\n%s", diff)
		}
		// What a client does of itself when it hears stale=true.
		if diff := cmp.Diff(letIn, g.send(right.authorization(nonceIn(got)))); diff != "" {
			t.Errorf("with the new nonce (-want +got):\n%s", diff)
		}
	}
	next := right.with(func(a *attempt) { a.nc = "00000002" })
	if diff := cmp.Diff(letIn, g.send(next.authorization(nonce))); diff != "" {
		t.Errorf("next count (-want +got):\n%s", diff)
	}
	wrong := right.with(func(a *attempt) { a.password = "Pass" })
	got := g.send(wrong.authorization(nonce))
	if diff := cmp.Diff(unauthorized(nonceIn(got), "false", unauthorizedEnvelope), got); diff != "" {
		t.Errorf("same count again, wrong password (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"192.0.2.1"}, addresses(g.failures)); diff != "" {
		t.Errorf("only the wrong password is a failure (-want +got):\n%s", diff)
	}
}

// Right credentials for a nonce that is not good are told so, wrong ones are not.
func TestNoncesThatAreNotGood(t *testing.T) {
	g := newGuard()
	issued := g.nonce()
	for _, test := range []struct{ name, nonce string }{
		{"monerod's", "KkluKoDeTwIuSMA2rWkRkg=="},
		{"another process's", newGuard().nonce()},
		{"one character", "x"},
		{"three bytes", "AAAA"},
		{"not base64", strings.Repeat("-", len(issued))},
		{"a bit changed in its time", flip(issued, 0)},
		{"a bit changed in its random part", flip(issued, 15)},
		{"a bit changed in its signature", flip(issued, 43-5)},
		{"bits changed that base64 does not use", issued[:42] + unusedBits(issued[42]) + "="},
		{"without its padding", strings.TrimSuffix(issued, "=")},
		{"longer", issued + "AAAA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := g.send(rightAttempt().authorization(test.nonce))
			if diff := cmp.Diff(unauthorized(nonceIn(got), "true", unauthorizedEnvelope), got); diff != "" {
				t.Errorf("right password (-want +got):\n%s", diff)
			}
			wrong := rightAttempt().with(func(a *attempt) { a.password = "Pass" })
			got = g.send(wrong.authorization(test.nonce))
			if diff := cmp.Diff(unauthorized(nonceIn(got), "false", unauthorizedEnvelope), got); diff != "" {
				t.Errorf("wrong password (-want +got):\n%s", diff)
			}
		})
	}
	if n := g.auth.nonces.used.Len(); n != 0 {
		t.Errorf("%d of them are remembered", n)
	}
	if diff := cmp.Diff(letIn, g.send(rightAttempt().authorization(issued))); diff != "" {
		t.Errorf("the one that was issued (-want +got):\n%s", diff)
	}
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// flip changes the highest bit of the i-th base64 digit.
func flip(nonce string, i int) string {
	digit := strings.IndexByte(base64Digits, nonce[i])
	return nonce[:i] + string(base64Digits[digit^32]) + nonce[i+1:]
}

// unusedBits changes the two bits of the last digit before the padding that are no part of the data.
func unusedBits(digit byte) string {
	return string(base64Digits[strings.IndexByte(base64Digits, digit)^3])
}

func TestNoncesExpire(t *testing.T) {
	g := newGuard()
	right := rightAttempt()
	used, unused := g.nonce(), g.nonce()
	count := 0
	send := func(nonce string) response {
		count++
		return g.send(right.with(func(a *attempt) { a.nc = fmt.Sprintf("%08x", count) }).authorization(nonce))
	}
	for _, test := range []struct {
		after time.Duration
		nonce string
		good  bool
	}{
		{0, used, true},
		{nonceLife, used, true},
		{1, used, false},
		{0, unused, false},
		{-1, unused, true},
		{-nonceLife - 1, unused, false}, // issued later than now
	} {
		g.clock.advance(test.after)
		got := send(test.nonce)
		want := letIn
		if !test.good {
			want = unauthorized(nonceIn(got), "true", unauthorizedEnvelope)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", count, diff)
		}
	}
	if g.failures != nil {
		t.Error("to be late counts as a failure")
	}
}

func TestBogusCredentialsCostNoMemoryAndDisturbNobody(t *testing.T) {
	g := newGuard()
	mine := g.nonce()
	right := rightAttempt()
	if got := g.send(right.authorization(mine)); got.Status != 200 {
		t.Fatalf("status %d, want 200", got.Status)
	}
	wrong := right.with(func(a *attempt) { a.password = "Pass" })
	for range 2 * maxNonces {
		// A nonce of its own for each, so that each could take a place.
		if got := g.send(wrong.authorization(g.nonce())); got.Status != 401 {
			t.Fatalf("status %d, want 401", got.Status)
		}
	}
	if n := g.auth.nonces.used.Len(); n != 1 {
		t.Errorf("%d nonces are remembered, want 1", n)
	}
	if got := g.send(right.with(func(a *attempt) { a.nc = "00000002" }).authorization(mine)); got.Status != 200 {
		t.Errorf("after the flood: status %d, want 200", got.Status)
	}
	if len(g.failures) != 2*maxNonces {
		t.Errorf("%d failures, want %d", len(g.failures), 2*maxNonces)
	}
}

func TestNobodyNeedsToHearOfFailures(t *testing.T) {
	auth := newDigestAuth(Login{User: "user", Password: "pass"}, time.Now, nil)
	h := auth.require(func(*http.Request) face { return restFace }, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Basic dXNlcjpwYXNz")
	if got := serve(h, r); got.Status != 401 {
		t.Errorf("status %d, want 401", got.Status)
	}
}

func BenchmarkDigest(b *testing.B) {
	g := newGuard()
	right := rightAttempt()
	nonce := g.nonce()
	request := func(authorization string) *http.Request {
		r := httptest.NewRequest("POST", "/json_rpc", nil)
		r.Header.Set("Authorization", authorization)
		return r
	}
	good := request(right.authorization(nonce))
	wrong := request(right.with(func(a *attempt) { a.password = "x" }).authorization(nonce))
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.auth.verify(good, good.Header["Authorization"])
		}
	})
	b.Run("verify wrong", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.auth.verify(wrong, wrong.Header["Authorization"])
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parseCredentials(good.Header["Authorization"][0])
		}
	})
	b.Run("use", func(b *testing.B) {
		b.ReportAllocs()
		var nc uint32
		for b.Loop() {
			nc++
			g.auth.nonces.use(nonce, nc)
		}
	})
	b.Run("issue", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.auth.nonces.issue()
		}
	})
}
