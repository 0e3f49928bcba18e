package rpc

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// clientBehind is who a request comes from that is sent from remote with those X-Forwarded-For headers.
func clientBehind(trusted []netip.Prefix, remote string, headers ...string) (client netip.Addr) {
	h := clientIP(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = clientOf(r) }))
	h.ServeHTTP(httptest.NewRecorder(), &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": headers}})
	return client
}

// Whatever a client puts into X-Forwarded-For, it is not taken for another than the last trusted proxy says: the header of
// one that no trusted proxy speaks for counts for nothing, and in front of what a proxy has added anything may stand.
func FuzzForwardedFor(f *testing.F) {
	for _, sent := range []string{
		"", ",", "203.0.113.9", "203.0.113.9, 10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1", "::ffff:203.0.113.9", "fe80::1%eth0", "[::1]:80", "203.0.113.9:80",
		"unknown", "\x00", "\t10.0.0.2 ", "2001:db8::1", "0x0a000001", "10.0.0.1, x, 10.0.0.1", strings.Repeat(",", 1000), "203.0.113.9\r\n203.0.113.8",
	} {
		f.Add(sent, sent, byte(1))
		f.Add("10.0.0.2", sent, byte(0))
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	clients := []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:1:2::"), netip.MustParseAddr("127.0.0.1")}
	const proxy, otherProxy = "10.9.9.9:1", "[fd00::9]:1"
	f.Fuzz(func(t *testing.T, first, second string, which byte) {
		client := clients[int(which)%len(clients)]
		direct := netip.AddrPortFrom(client, 1).String()
		for name, got := range map[string]netip.Addr{
			"nobody is trusted":       clientBehind(nil, direct, first, second),
			"not a proxy":             clientBehind(trusted, direct, first, second),
			"behind a proxy":          clientBehind(trusted, proxy, first+", "+client.String()),
			"behind a proxy, lines":   clientBehind(trusted, otherProxy, first, second, client.String()),
			"behind two":              clientBehind(trusted, proxy, first+","+second, client.String()+" ,fd00::1"),
			"behind two, in one line": clientBehind(trusted, otherProxy, first, second+","+client.String()+",10.1.2.3"),
		} {
			if got != client {
				t.Errorf("%s: %v is taken for %v, by %q and %q", name, client, got, first, second)
			}
		}
		if got, want := clientBehind(trusted, proxy, first, second), lastUntrusted(trusted, "10.9.9.9", first, second); got != want {
			t.Errorf("%q and %q: client %v, want %v", first, second, got, want)
		}
	})
}

// lastUntrusted is the last address in the headers that is not a trusted proxy's, or the proxy's own where there is none or
// something else comes first; and of an IPv6 address its /64.
func lastUntrusted(trusted []netip.Prefix, proxy string, headers ...string) netip.Addr {
	own := netip.MustParseAddr(proxy)
	entries := strings.Split(strings.Join(headers, ","), ",")
	for _, entry := range slices.Backward(entries) {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		addr, err := netip.ParseAddr(entry)
		if err != nil {
			return own
		}
		addr = addr.WithZone("").Unmap()
		if slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			continue
		}
		if addr.Is6() {
			addr = netip.PrefixFrom(addr, 64).Masked().Addr()
		}
		return addr
	}
	return own
}
