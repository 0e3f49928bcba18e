package collector

import (
	"net/netip"
	"strings"
	"testing"
)

func TestProxyTarget(t *testing.T) {
	for _, test := range []struct {
		args string
		want string // "" for none
	}{
		{"/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 15432 -container-ip 172.17.0.2 -container-port 5432", "172.17.0.2:5432"},
		{"/usr/bin/docker-proxy -proto tcp -host-ip :: -host-port 80 -container-ip 172.17.0.2 -container-port 8080 -use-listen-fd", "172.17.0.2:8080"},
		{"/usr/bin/docker-proxy -use-listen-fd -proto tcp -container-ip fd00::2 -container-port 1", "[fd00::2]:1"},
		{"docker-proxy -container-ip ::ffff:172.17.0.2 -container-port 65535", "172.17.0.2:65535"},
		{"docker-proxy -container-ip 172.17.0.2", ""},
		{"docker-proxy -container-port 80", ""},
		{"docker-proxy -container-ip 172.17.0.2 -container-port 0", ""},
		{"docker-proxy -container-ip 172.17.0.2 -container-port 65536", ""},
		{"docker-proxy -container-ip x -container-port 80", ""},
		{"docker-proxy -container-port 80 -container-ip", ""},
		{"docker-proxy", ""},
		{"", ""},
	} {
		got, ok := proxyTarget(strings.Fields(test.args))
		if want, _ := netip.ParseAddrPort(test.want); ok != (test.want != "") || ok && got != want {
			t.Errorf("%s: %v, %v, want %q", test.args, got, ok, test.want)
		}
	}
}

func FuzzProxyTarget(f *testing.F) {
	f.Add("docker-proxy\x00-container-ip\x00172.17.0.2\x00-container-port\x0080\x00-use-listen-fd")
	f.Add("docker-proxy\x00-use-listen-fd")
	f.Fuzz(func(t *testing.T, args string) {
		if target, ok := proxyTarget(strings.Split(args, "\x00")); ok && (!target.IsValid() || target.Port() == 0) {
			t.Errorf("%q forwards to %v", args, target)
		}
	})
}
