//go:build linux && interop

package interop_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

const (
	loginUser     = "alice"
	loginPassword = "open sesame"
)

// credentials are what a client answers a challenge with. The zero value and
// the nonce make right ones.
type credentials struct {
	user, password string
	realm          string
	algorithm      string // "" is MD5, unnamed
	uri            string
	nc             int
	nonce          string
	withoutQOP     bool
}

// header is the value of Authorization, after RFC 7616 (RFC 2069 without qop).
func (c credentials) header(method string) string {
	hash := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	const cnonce = "0123456789abcdef"
	nc := fmt.Sprintf("%08x", c.nc)
	a1, a2 := hash(c.user, c.realm, c.password), hash(method, c.uri)
	if c.algorithm == "MD5-sess" {
		a1 = hash(a1, c.nonce, cnonce)
	}
	header := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s"`, c.user, c.realm, c.nonce, c.uri)
	if c.algorithm != "" {
		header += ", algorithm=" + c.algorithm
	}
	if c.withoutQOP {
		return header + fmt.Sprintf(`, response="%s"`, hash(a1, c.nonce, a2))
	}
	return header + fmt.Sprintf(`, qop=auth, nc=%s, cnonce="%s", response="%s"`, nc, cnonce, hash(a1, c.nonce, nc, cnonce, "auth", a2))
}

// right are the credentials of a client that knows the login.
func right(nc int, change func(*credentials)) *credentials {
	c := credentials{user: loginUser, password: loginPassword, realm: "monero-rpc", algorithm: "MD5", uri: "/json_rpc", nc: nc}
	if change != nil {
		change(&c)
	}
	return &c
}

// step is one request of a conversation.
type step struct {
	method, path string       // "" are POST, /json_rpc
	header       string       // the value of Authorization
	credentials  *credentials // or these, with the nonce of the last challenge
	apart        bool         // over a new connection
}

// conversation is requests over one TCP connection where the steps do not ask
// for another: that is where monerod keeps its nonces.
type conversation struct {
	name  string
	steps []step
}

func conversations() []conversation {
	challenged := func(name string, answers ...*credentials) conversation {
		c := conversation{name: name, steps: []step{{}}}
		for _, answer := range answers {
			c.steps = append(c.steps, step{credentials: answer})
		}
		return c
	}
	return []conversation{
		{"no credentials", []step{{}}},
		{"no credentials, another path", []step{{path: "/get_info"}}},
		{"no credentials, unknown path", []step{{path: "/nosuch"}}},
		{"no credentials, GET", []step{{method: http.MethodGet, path: "/get_info"}}},
		{"Basic", []step{{header: "Basic YWxpY2U6b3BlbiBzZXNhbWU="}}},
		{"Digest without members", []step{{header: "Digest"}}},
		{"Digest garbage", []step{{header: `Digest username="alice`}}},
		challenged("right, MD5", right(1, nil)),
		challenged("right, MD5-sess", right(1, func(c *credentials) { c.algorithm = "MD5-sess" })),
		challenged("right, algorithm not named", right(1, func(c *credentials) { c.algorithm = "" })),
		challenged("right, whole URL as uri", right(1, func(c *credentials) { c.uri = "http://127.0.0.1/json_rpc" })),
		challenged("right, three times", right(1, nil), right(2, nil), right(3, nil)),
		{"right, over another connection", []step{{}, {credentials: right(1, nil), apart: true}}},
		challenged("right, then replayed", right(1, nil), right(1, nil)),
		challenged("right, after a wrong one", right(1, func(c *credentials) { c.password = "wrong" }), right(1, nil)),
		challenged("wrong password", right(1, func(c *credentials) { c.password = "wrong" })),
		challenged("wrong user", right(1, func(c *credentials) { c.user = "mallory" })),
		challenged("wrong realm", right(1, func(c *credentials) { c.realm = "other" })),
		challenged("unknown nonce", right(1, func(c *credentials) { c.nonce = "AAAAAAAAAAAAAAAAAAAAAA==" })),
		challenged("unknown algorithm", right(1, func(c *credentials) { c.algorithm = "SHA-256" })),
		challenged("uri of another path", right(1, func(c *credentials) { c.uri = "/get_info" })),
		challenged("without qop", right(1, func(c *credentials) { c.withoutQOP = true })),
		challenged("count skipped", right(2, nil)),
	}
}

var nonce = regexp.MustCompile(`nonce="([0-9A-Za-z+/]{16,}=*)"`)

// run has the conversation with a server and returns the aspects of its last
// answer.
func (c conversation) run(t *testing.T, url string) map[string]string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	var aspects map[string]string
	var lastNonce string
	for _, s := range c.steps {
		method, path := s.method, s.path
		if method == "" {
			method = http.MethodPost
		}
		if path == "" {
			path = "/json_rpc"
		}
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(`{"jsonrpc":"2.0","id":"0","method":"get_version"}`))
		if err != nil {
			t.Fatal(err)
		}
		if s.apart {
			client.CloseIdleConnections()
		}
		switch {
		case s.credentials != nil:
			answer := *s.credentials
			if answer.nonce == "" {
				answer.nonce = lastNonce
			}
			request.Header.Set("Authorization", answer.header(method))
		case s.header != "":
			request.Header.Set("Authorization", s.header)
		}
		response, text := do(t, client, request)
		aspects = outcomeOf(t, response, text).aspects()
		challenges := response.Header.Values("WWW-Authenticate")
		for _, challenge := range challenges {
			if found := nonce.FindStringSubmatch(challenge); found != nil {
				lastNonce = found[1]
			}
		}
		aspects["challenge"] = nonce.ReplaceAllString(strings.Join(challenges, " | "), `nonce="…"`)
	}
	return aspects
}

// TestLogin has the same conversations with monerod and with us, both with a
// login.
func TestLogin(t *testing.T) {
	login := loginUser + ":" + loginPassword
	node, d := startReference(t, "--rpc-login", login), serve(t, "--rpc-login", login)
	found := make(map[aspectOf]values)
	for _, c := range conversations() {
		theirs, ours := c.run(t, node.url), c.run(t, d.url)
		if c.name == "no credentials" && (ours["status"] != "401" || ours["challenge"] != challenge("false")) {
			t.Errorf("without credentials: %v, want 401 and %s", ours, challenge("false"))
		}
		t.Logf("%s: monerod %s, connectionsd %s", c.name, theirs["status"], ours["status"])
		for aspect := range theirs {
			if theirs[aspect] != ours[aspect] {
				found[aspectOf{c.name, aspect}] = values{theirs[aspect], ours[aspect]}
			}
		}
	}
	checkDifferences(t, found, loginDifferences)
}

// challenge is what both answer with 401, for each algorithm.
func challenge(stale string) string {
	const form = `Digest qop="auth",algorithm=%s,realm="monero-rpc",nonce="…",stale=%s`
	return fmt.Sprintf(form, "MD5", stale) + " | " + fmt.Sprintf(form, "MD5-sess", stale)
}

// loginDifferences is the whole list of the differences that are meant.
var loginDifferences = []difference{
	{
		"What is wrong is said in JSON. monerod sends a page.",
		[]string{
			"no credentials", "Basic", "Digest without members", "Digest garbage", "right, then replayed", "wrong password", "wrong user",
			"wrong realm", "unknown nonce", "unknown algorithm",
		},
		map[string]values{"content type": {"text/html", "application/json"}, "error": {"", "401 Unauthorized"}, "id": {"", "null"}},
	},
	{
		"What is wrong is said in JSON. monerod sends a page.",
		[]string{"no credentials, another path", "no credentials, GET"},
		map[string]values{"content type": {"text/html", "application/json"}, "error": {"", "401 Unauthorized"}},
	},
	{
		"What is wrong is said in JSON. monerod sends a page.",
		[]string{"no credentials, unknown path"},
		map[string]values{"content type": {"text/html", "application/json"}, "error": {"", `"Unauthorized"`}},
	},
	{
		"Credentials are good for the path that they name, so that who overhears them cannot ask for another. monerod does not look at it.",
		[]string{"uri of another path"},
		map[string]values{
			"status": {"200", "401"}, "challenge": {"", challenge("false")}, "error": {"", "401 Unauthorized"}, "id": {`"0"`, "null"}, "result": {version, ""},
		},
	},
	{
		"Without qop there is no count, so credentials could be replayed. monerod takes them.",
		[]string{"without qop"},
		map[string]values{
			"status": {"200", "401"}, "challenge": {"", challenge("false")}, "error": {"", "401 Unauthorized"}, "id": {`"0"`, "null"}, "result": {version, ""},
		},
	},
	{
		"A nonce is good for any connection until it expires, so a client may use several. monerod's is good for its connection only.",
		[]string{"right, over another connection"},
		map[string]values{
			"status": {"401", "200"}, "challenge": {challenge("true"), ""}, "content type": {"text/html", "application/json"}, "id": {"", `"0"`}, "result": {"", version},
		},
	},
}
