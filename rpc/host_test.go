package rpc

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHost(t *testing.T) {
	opts := testOptions(io.Discard)
	opts.AllowedHosts = []string{"node.example.org", "intranet"}
	h := NewHandler(opts)
	for _, test := range []struct {
		host string
		ok   bool
	}{
		{"", true}, // HTTP/1.0
		{"127.0.0.1", true},
		{"127.0.0.1:18081", true},
		{"127.0.0.1:", true},
		{"127.0.0.1.", true},
		{"192.0.2.1:80", true},
		{"[::1]", true},
		{"[::1]:18081", true},
		{"[2001:DB8::1]:18081", true},
		{"[::ffff:127.0.0.1]:18081", true},
		{"[fe80::1%25eth0]:18081", true},
		{"localhost", true},
		{"localhost:18081", true},
		{"LocalHost:18081", true},
		{"localhost.:18081", true},
		{"node.example.org", true},
		{"node.example.org:443", true},
		{"NODE.example.ORG.:443", true},
		{"intranet", true},

		{"evil.example", false},
		{"evil.example:18081", false},
		{"localhost.evil.example", false},
		{"evil.example.localhost", false},
		{"localhost..", false},
		{"xlocalhost", false},
		{"127.0.0.1.evil.example", false},
		{"127.0.0.1:18081.evil.example", false},
		{"127.0.0.1:x", false},
		{"127.1", false},
		{"2130706433", false},
		{"0x7f000001", false},
		{"127.0.0.01", false},
		{"::1", false},
		{"[::1", false},
		{"[::1]x", false},
		{"[::1]:x", false},
		{"[127.0.0.1]", false},
		{"[localhost]", false},
		{"[]", false},
		{":18081", false},
		{".", false},
		{"sub.node.example.org", false},
		{"example.org", false},
		{"node.example.org:1:2", false},
		{"evil@localhost", false},
		{"localhost@evil", false},
		{"local host", false},
		{"*", false},
	} {
		for path, face := range map[string]string{
			"/api/connections": `{"error":%s}`,
			"/metrics":         `{"error":%s}`,
			"/healthz":         `{"error":%s}`,
			"/get_connections": `{"error":{"code":403,"message":%s}}`,
			"/json_rpc":        `{"error":{"code":403,"message":%s},"id":null,"jsonrpc":"2.0"}`,
		} {
			request := httptest.NewRequest("GET", path, nil)
			request.Host = test.host
			got := serve(h, request)
			if test.ok {
				if got.Status != 200 && path != "/json_rpc" || got.Status == 403 {
					t.Errorf("%s of %q: status %d", path, test.host, got.Status)
				}
				continue
			}
			quoted := strings.ReplaceAll(fmt.Sprintf("%q", test.host), `"`, `\"`)
			message := `"the host ` + quoted + ` is not allowed: want an IP address, localhost or a name given by --allowed-host"`
			if diff := cmp.Diff(jsonResponse(403, fmt.Sprintf(face, message)), got); diff != "" {
				t.Errorf("%s of %q (-want +got):\n%s", path, test.host, diff)
			}
		}
	}
}

func TestAnyHost(t *testing.T) {
	opts := testOptions(io.Discard)
	opts.AllowedHosts = []string{"*"}
	request := httptest.NewRequest("GET", "/api/connections", nil)
	request.Host = "evil.example"
	if got := serve(NewHandler(opts), request); got.Status != 200 {
		t.Errorf("status %d, want 200", got.Status)
	}
}

// A host too long to be quoted whole.
func TestHostIsQuotedInPart(t *testing.T) {
	request := httptest.NewRequest("GET", "/api/connections", nil)
	request.Host = strings.Repeat("x", 5000)
	want := `{"error":"the host \"` + strings.Repeat("x", 100) + `\" is not allowed: want an IP address, localhost or a name given by --allowed-host"}`
	if diff := cmp.Diff(jsonResponse(403, want), serve(NewHandler(testOptions(io.Discard)), request)); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

// What net/http itself makes of the header, whatever its case and order.
func TestHostOfARealRequest(t *testing.T) {
	server := httptest.NewServer(NewHandler(testOptions(io.Discard)))
	defer server.Close()
	for head, want := range map[string]string{
		"GET /healthz HTTP/1.1\r\nHost: localhost":                               "HTTP/1.1 200 OK",
		"GET /healthz HTTP/1.1\r\nHost: evil.example":                            "HTTP/1.1 403 Forbidden",
		"GET /healthz HTTP/1.1":                                                  "HTTP/1.1 400 Bad Request: missing required Host header",
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost":            "HTTP/1.1 400 Bad Request",
		"GET /healthz HTTP/1.1\r\nHost: local\x01host":                           "HTTP/1.1 400 Bad Request",
		"GET /healthz HTTP/1.0":                                                  "HTTP/1.0 200 OK",
		"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost":            "HTTP/1.1 403 Forbidden",
		"GET /healthz HTTP/1.1\r\nX-Forwarded-Host: localhost\r\nhost: evil.com": "HTTP/1.1 403 Forbidden",
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, head+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if line, _, _ := strings.Cut(string(answer), "\r\n"); line != want {
			t.Errorf("%q: %s, want %s", head, line, want)
		}
	}
}

func TestParseHost(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"node.example.org", "node.example.org"},
		{"Node.Example.ORG.", "node.example.org"},
		{"intra_net-1", "intra_net-1"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"*", "*"},
		{strings.Repeat("x", 253), strings.Repeat("x", 253)},
	} {
		if got, err := ParseHost(test.text); err != nil || got != test.want {
			t.Errorf("%q: %q, %v, want %q", test.text, got, err, test.want)
		}
	}
	const want = "want a host name without a port, such as node.example.org, or * for any name"
	for _, text := range []string{
		"", ".", "a:1", "[::1]", "http://a", "a b", "*.example.org", "bücher.example", "a/b", strings.Repeat("x", 254),
	} {
		if got, err := ParseHost(text); err == nil || err.Error() != want {
			t.Errorf("%q: %q, error %v", text, got, err)
		}
	}
}

// Whatever the header, without listed names only what no DNS is asked for is let in.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"", "127.0.0.1", "127.0.0.1:18081", "[::1]:18081", "[::1]", "::1", "localhost", "LOCALHOST.:1", "evil.example", "[", "]", "[]:", ":",
		"localhost:localhost", "127.0.0.1.evil.example", "[fe80::1%25eth0]", "[::ffff:1.2.3.4]", "a:1:2", "evil@localhost", "127.0.0.1..", "[::1.]", "[::%.]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !isOwnHost(host, nil) || host == "" {
			return
		}
		// net.SplitHostPort and netip read it independently.
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		}
		if host[0] != '[' { // a dot may end a name, and the zone of an address, to which it belongs
			name = strings.TrimSuffix(name, ".")
		}
		if _, err := netip.ParseAddr(name); err != nil && !strings.EqualFold(name, "localhost") {
			t.Fatalf("%q is let in", host)
		}
		if !isOwnHost(strings.ToUpper(host), nil) && !strings.Contains(host, "%") {
			t.Fatalf("%q is let in, and not in upper case", host)
		}
	})
}
