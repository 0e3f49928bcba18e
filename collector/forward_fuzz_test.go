//go:build linux

package collector

import (
	"flag"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Docker's proxy reads its arguments by package flag. Where both that and proxyTarget take some, they agree on where it
// forwards; and what Docker writes, proxyTarget takes.
func FuzzProxyArguments(f *testing.F) {
	f.Add("-proto\x00tcp\x00-host-ip\x000.0.0.0\x00-host-port\x0080\x00-container-ip\x00172.17.0.2\x00-container-port\x008080", "172.17.0.2", uint16(8080), true)
	f.Add("-use-listen-fd\x00-container-ip\x00::1\x00-container-port\x001\x00-container-port\x002", "fd00::2", uint16(1), false)
	f.Add("-container-ip\x00-container-port\x00-container-port\x0080", "::ffff:172.17.0.2", uint16(65535), true)
	f.Add("-container-port\x00+80\x00-container-ip\x00fe80::1%eth0", "fe80::1%eth0", uint16(0), false)
	f.Add("-container-ip\x00172.17.0.2\x00--\x00-container-port\x0080", "", uint16(7), true)
	f.Fuzz(func(t *testing.T, line, ip string, port uint16, listenFD bool) {
		args := append([]string{"docker-proxy"}, strings.Split(line, "\x00")...)
		got, ok := proxyTarget(args)
		if ok && (!got.IsValid() || got.Port() == 0 || got.Addr().Is4In6()) {
			t.Fatalf("%q forwards to %v", args, got)
		}
		if want, read := flagged(args); read && ok && got != want {
			t.Fatalf("%q forwards to %v, want %v", args, got, want)
		}

		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return
		}
		made := []string{
			"/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", ip, "-host-port", "1", "-container-ip", ip, "-container-port", strconv.Itoa(int(port)),
		}
		if listenFD {
			made = slices.Insert(made, 1+len(line)%11/2*2, "-use-listen-fd")
		}
		want := netip.AddrPortFrom(addr.Unmap(), port)
		if got, ok := proxyTarget(made); ok != (port != 0) || ok && got != want {
			t.Fatalf("%q: %v, %t, want %v", made, got, ok, want)
		}
	})
}

// flagged is where the arguments lead by package flag; ok is false where it does not take them as they are written.
func flagged(args []string) (target netip.AddrPort, ok bool) {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"proto", "host-ip", "host-port"} {
		flags.String(name, "", "")
	}
	flags.Bool("use-listen-fd", false, "")
	ip := flags.String("container-ip", "", "")
	port := flags.Int("container-port", 0, "")
	if flags.Parse(args[1:]) != nil || flags.NArg() > 0 {
		return target, false
	}
	addr, err := netip.ParseAddr(*ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(*port)), err == nil && 0 <= *port && *port <= 65535
}
