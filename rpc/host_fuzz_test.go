package rpc

import (
	"regexp"
	"strings"
	"testing"
)

// A name that is accepted is one of a host, is let in however a client writes it, and lets in no other.
func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"*", "node.example.org", "NODE.", "a", "-", "1.2.3.4", "", ".", "..", "a:1", "[::1]", "b\u00fccher", "\u212Aelvin", strings.Repeat("x", 254), "a b", "xn--a"} {
		f.Add(s, "evil.example")
	}
	name := regexp.MustCompile(`^[a-z0-9._-]{1,253}$`)
	f.Fuzz(func(t *testing.T, s, other string) {
		host, err := ParseHost(s)
		if err != nil {
			if err.Error() != "want a host name without a port, such as node.example.org, or * for any name" {
				t.Fatalf("%q: error %v", s, err)
			}
			return
		}
		if host == anyName {
			if s != anyName {
				t.Fatalf("%q is any name", s)
			}
			return
		}
		if !name.MatchString(host) || !strings.EqualFold(strings.TrimSuffix(s, "."), host) {
			t.Fatalf("%q is %q", s, host)
		}
		for _, sent := range []string{host, strings.ToUpper(host), host + ".", host + ":18081", host + ".:1"} {
			if strings.HasSuffix(host, ".") {
				break // no such name is one of a host, and none is sent
			}
			if !isOwnHost(sent, []string{host}) {
				t.Fatalf("%q is listed, and %q is not let in", host, sent)
			}
		}
		if isOwnHost(other, []string{host}) && !isOwnHost(other, nil) {
			if sent, _, _ := strings.Cut(other, ":"); !strings.EqualFold(strings.TrimSuffix(sent, "."), host) {
				t.Fatalf("%q is let in, where %q is listed", other, host)
			}
		}
	})
}
