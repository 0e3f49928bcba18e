package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// anyName stands for all of them, in a list of hosts or of origins.
const anyName = "*"

// ParseHost reads a host name that clients may use for the daemon, or "*" for any, as [Options] has them: in lower case
// and without a dot at its end. A port is not part of it.
func ParseHost(s string) (string, error) {
	if s == anyName {
		return s, nil
	}
	name := strings.TrimSuffix(strings.ToLower(s), ".")
	if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return "", errors.New("want a host name without a port, such as node.example.org, or * for any name")
	}
	return name, nil
}

// checkHost refuses requests whose Host header is not a name of this daemon.
//
// It is for browsers. A page at http://evil.example:18081 may read what that address answers, and its owner may let the
// name point to 127.0.0.1 once the page is loaded (DNS rebinding): to the browser the daemon is then the page's own
// server. The Host header still says evil.example. What cannot be led astray like this is allowed: an IP address, for
// which no DNS is asked; localhost, which browsers and resolvers know by themselves; the names listed; and no Host at
// all, since every browser sends one.
func checkHost(allowed []string, faceOf func(*http.Request) face, refused func(Refusal)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if slices.Contains(allowed, anyName) {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isOwnHost(r.Host, allowed) {
				next.ServeHTTP(w, r)
				return
			}
			refused(RefusedHost)
			faceOf(r).writeStatus(w, http.StatusForbidden,
				fmt.Sprintf("the host %.100q is not allowed: want an IP address, localhost or a name given by --allowed-host", r.Host), "")
		})
	}
}

// isOwnHost reports whether the value of a Host header may be used for this daemon.
func isOwnHost(host string, allowed []string) bool {
	if host == "" {
		return true
	}
	name, ok := hostName(host)
	if !ok {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || slices.Contains(allowed, name)
}

// hostName returns the host of host[:port] (RFC 9110 section 7.2): in lower case, without the brackets of an IPv6 address
// and without the dot that may end a name.
func hostName(host string) (name string, ok bool) {
	var port string
	if rest, bracket := strings.CutPrefix(host, "["); bracket {
		if name, port, ok = strings.Cut(rest, "]"); !ok {
			return "", false
		}
		if ip, err := netip.ParseAddr(name); err != nil || ip.Is4() {
			return "", false
		}
		if port != "" && port[0] != ':' {
			return "", false
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		name, port, _ = strings.Cut(host, ":")
		name = strings.TrimSuffix(name, ".")
	}
	if name == "" || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	return strings.ToLower(name), true
}
