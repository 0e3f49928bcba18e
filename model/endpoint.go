package model

import "net/netip"

// Endpoint is where a socket of one network namespace listens or connects to.
type Endpoint struct {
	NetNS uint32 // as in Socket.NetNS
	IP    [16]byte
	Port  uint16
}

var (
	anyIPv4 = netip.IPv4Unspecified().As16()
	anyIPv6 = netip.IPv6Unspecified().As16()
)

// LocalEndpoint returns the local end of s.
func (s *Socket) LocalEndpoint() Endpoint { return Endpoint{s.NetNS, s.LocalIP, s.LocalPort} }

// DualStack returns the IPv4 endpoint that a listener at [::] takes connections
// to as well. ok is false for every other socket.
func (s *Socket) DualStack() (e Endpoint, ok bool) {
	if s.State != Listen || s.Family != IPv6 || s.LocalIP != anyIPv6 || s.V6Only {
		return Endpoint{}, false
	}
	return Endpoint{s.NetNS, anyIPv4, s.LocalPort}, true
}

// Wildcard returns the endpoint of a listener on all addresses of e's family,
// which takes the connections to e if no listener has e's address to itself.
func (e Endpoint) Wildcard() Endpoint {
	if netip.AddrFrom16(e.IP).Is4In6() {
		e.IP = anyIPv4
	} else {
		e.IP = anyIPv6
	}
	return e
}
