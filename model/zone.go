package model

import (
	"net/netip"
	"strconv"
)

// Interface is a network interface of one network namespace.
type Interface struct {
	NetNS uint32 // as in Socket.NetNS
	Index uint32
}

// Address is an address of one network namespace.
type Address struct {
	NetNS uint32 // as in Socket.NetNS
	IP    [16]byte
}

// boundInterface returns the name of the interface that the socket at index i
// is bound to, by itself or through its address, "" where that is not known.
func (s *Snapshot) boundInterface(i int) string {
	sock := &s.Sockets[i]
	index := sock.Interface
	if index == 0 {
		index = s.Bound[Address{sock.NetNS, sock.LocalIP}]
	}
	return s.Zones[Interface{sock.NetNS, index}]
}

// NeedsZone reports whether one of the ends of s is an address that means
// something only together with an interface: an IPv6 link-local one (RFC 4007).
func (s *Socket) NeedsZone() bool {
	return s.Interface != 0 && s.Family == IPv6 && (isLinkLocal(&s.LocalIP) || isLinkLocal(&s.RemoteIP))
}

func isLinkLocal(ip *[16]byte) bool { return ip[0] == 0xfe && ip[1]&0xc0 == 0x80 }

// Local returns the local end of the socket at index i, a link-local address
// with its zone.
func (s *Snapshot) Local(i int) netip.AddrPort {
	return s.zoned(&s.Sockets[i], s.Sockets[i].Local())
}

// Remote returns the remote end of the socket at index i, a link-local address
// with its zone: monerod tells it as fe80::1%eth0.
func (s *Snapshot) Remote(i int) netip.AddrPort {
	return s.zoned(&s.Sockets[i], s.Sockets[i].Remote())
}

func (s *Snapshot) zoned(sock *Socket, end netip.AddrPort) netip.AddrPort {
	if !sock.NeedsZone() || !end.Addr().IsLinkLocalUnicast() {
		return end
	}
	zone, ok := s.Zones[Interface{sock.NetNS, sock.Interface}]
	if !ok || !isPlainZone(zone) {
		zone = strconv.FormatUint(uint64(sock.Interface), 10)
	}
	return netip.AddrPortFrom(end.Addr().WithZone(zone), end.Port())
}

// isPlainZone reports whether a zone can stand in an address in JSON as it is.
// The kernel lets an interface be called almost anything (dev_valid_name in
// net/core/dev.c); one of an odd name is called by its number.
func isPlainZone(zone string) bool {
	for i := range len(zone) {
		switch c := zone[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == '@':
		default:
			return false
		}
	}
	return zone != ""
}
