//go:build linux && interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

const (
	referenceP2P, referenceRPC = 20080, 20081 // below those that the kernel gives to outgoing connections
)

// requests are what monerod and we are asked alike.
func requests() []request {
	var all []request
	post := func(name, path, body string) {
		all = append(all, request{name: name, method: http.MethodPost, path: path, body: body})
	}
	const call = `{"jsonrpc":"2.0","id":"0","method":"get_connections"}`

	post("call", "/json_rpc", call)
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"} {
		all = append(all, request{name: "content type " + contentType, method: http.MethodPost, path: "/json_rpc", body: call, contentType: contentType})
	}

	// What is not a request.
	for _, body := range []struct{ name, body string }{
		{"no body", ``},
		{"only space", ` `},
		{"garbage", `garbage`},
		{"truncated", `{"jsonrpc":"2.0","id":"0","method":"get_conn`},
		{"truncated after a member", `{"jsonrpc":"2.0","id":"0","method":"get_connections"`},
		{"text after the end", call + ` x`},
		{"null", `null`},
		{"number", `1`},
		{"string", `"x"`},
		{"empty array", `[]`},
		{"empty object", `{}`},
		{"batch of one", `[` + call + `]`},
		{"batch of what is no request", `[1]`},
		{"id given twice", `{"jsonrpc":"2.0","id":"0","id":"1","method":"get_connections"}`},
	} {
		post(body.name, "/json_rpc", body.body)
	}

	for _, method := range []struct{ name, value string }{
		{"number", `1`},
		{"null", `null`},
		{"array", `["get_connections"]`},
		{"empty", `""`},
		{"unknown", `"nosuch"`},
		{"in upper case", `"GET_CONNECTIONS"`},
	} {
		post("method "+method.name, "/json_rpc", `{"jsonrpc":"2.0","id":"0","method":`+method.value+`}`)
	}
	post("method missing", "/json_rpc", `{"jsonrpc":"2.0","id":"0"}`)

	for _, params := range []string{`null`, `[]`, `{}`, `"x"`, `1`, `[1]`, `{"nosuch":1}`} {
		post("params "+params, "/json_rpc", `{"jsonrpc":"2.0","id":"0","method":"get_connections","params":`+params+`}`)
	}

	for _, id := range []string{`"a"`, `""`, `"\u0041"`, `1`, `-1`, `12345678901234567890`, `1.5`, `1e3`, `null`, `true`, `{}`, `[]`} {
		post("id "+id, "/json_rpc", `{"jsonrpc":"2.0","id":`+id+`,"method":"get_connections"}`)
	}
	post("id missing", "/json_rpc", `{"jsonrpc":"2.0","method":"get_connections"}`)
	for _, id := range []string{`"a"`, `1`, `1.5`, `null`, `{}`} {
		post("unknown method, id "+id, "/json_rpc", `{"jsonrpc":"2.0","id":`+id+`,"method":"nosuch"}`)
	}
	post("unknown method, id missing", "/json_rpc", `{"jsonrpc":"2.0","method":"nosuch"}`)

	post("jsonrpc missing", "/json_rpc", `{"id":"0","method":"get_connections"}`)
	post("jsonrpc 1.0", "/json_rpc", `{"jsonrpc":"1.0","id":"0","method":"get_connections"}`)
	post("jsonrpc a number", "/json_rpc", `{"jsonrpc":2,"id":"0","method":"get_connections"}`)

	// The companions, and which of them has which way.
	for _, method := range []string{"get_version", "get_info", "get_net_stats"} {
		post(method, "/json_rpc", `{"jsonrpc":"2.0","id":"0","method":"`+method+`"}`)
		post(method+", params []", "/json_rpc", `{"jsonrpc":"2.0","id":"0","method":"`+method+`","params":[]}`)
		post(method+", params \"x\"", "/json_rpc", `{"jsonrpc":"2.0","id":"0","method":"`+method+`","params":"x"}`)
	}
	for _, path := range []string{"/get_info", "/get_net_stats"} {
		post("POST "+path, path, ``)
		for _, body := range []string{`{}`, `{"nosuch":1}`, `[]`, `null`, `garbage`} {
			post("POST "+path+" "+body, path, body)
		}
	}
	for _, path := range []string{"/json_rpc", "/get_info", "/get_net_stats", "/get_version", "/get_connections", "/api/connections", "/", "/nosuch", "/json_rpc/"} {
		all = append(all, request{name: "GET " + path, method: http.MethodGet, path: path})
	}
	for _, path := range []string{"/get_version", "/get_connections", "/api/connections", "/", "/nosuch", "/json_rpc/", "/json_rpc?x=1"} {
		post("POST "+path, path, ``)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions} {
		all = append(all, request{name: method + " /json_rpc", method: method, path: "/json_rpc", body: map[string]string{http.MethodPut: call}[method]})
	}
	return all
}

// startReference starts a node that others are compared with.
func startReference(t *testing.T, args ...string) *monerod {
	t.Helper()
	return startMonerod(t, t.TempDir(), referenceP2P, referenceRPC, append([]string{"--no-zmq", "--p2p-bind-ip", "127.0.0.1"}, args...)...)
}

// TestRequests sends the same requests to monerod and to us. Every difference
// is on the list, and all that is on the list is a difference.
func TestRequests(t *testing.T) {
	node, d := startReference(t), serve(t)
	// A connection for each: monerod closes some after it has answered.
	apart := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

	t.Run("no connections", func(t *testing.T) {
		const body = `{"jsonrpc":"2.0","id":"0","method":"get_connections","params":{"scope":%d}}`
		r := request{method: http.MethodPost, path: "/json_rpc", body: fmt.Sprintf(body, referenceP2P)}
		theirs, ours := r.send(t, apart, node.url), r.send(t, apart, d.url)
		// monerod leaves out what is empty; a client should not have to know that.
		if want := "status string, untrusted bool"; theirs.Result != want {
			t.Errorf("monerod: %+v, want the result %s", theirs, want)
		}
		if want := "connections array, status string, untrusted bool"; ours.Result != want {
			t.Errorf("connectionsd: %+v, want the result %s", ours, want)
		}
	})

	// A connection, so that monerod does not leave out connections.
	stranger(t, "", fmt.Sprintf("127.0.0.1:%d", referenceP2P), 0)
	eventually(t, 10*time.Second, func() (bool, string) {
		return len(must[[]record](t)(node.connections("{}"))) == 1, "monerod's record of the stranger"
	})

	t.Run("table", func(t *testing.T) {
		found := make(map[aspectOf]values)
		for _, r := range requests() {
			theirs, ours := r.send(t, apart, node.url).aspects(), r.send(t, apart, d.url).aspects()
			for aspect := range theirs {
				if theirs[aspect] != ours[aspect] {
					found[aspectOf{r.name, aspect}] = values{theirs[aspect], ours[aspect]}
				}
			}
		}
		checkDifferences(t, found, requestDifferences)
	})

	t.Run("get_version", func(t *testing.T) {
		theirs, ours := must[json.RawMessage](t)(node.call("get_version", "{}")), must[json.RawMessage](t)(newClient(t, d.url).call("get_version", "{}"))
		if a, b := compact(t, theirs), compact(t, ours); a != b {
			t.Errorf("get_version: monerod answers %s, connectionsd %s", a, b)
		}
	})
}
