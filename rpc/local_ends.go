package rpc

import (
	"net/netip"

	"github.com/connectionsd/connectionsd/model"
)

// localEnds tells of a remote end that is on this host who listens there.
type localEnds struct {
	labels map[endpoint]string
	// homes are the namespaces of the addresses that connections of the snapshot end at: the one that has the address, or
	// several if the addresses of namespaces overlap.
	homes map[[16]byte]home
}

type endpoint struct {
	netns uint32
	ip    [16]byte
	port  uint16
}

type home struct {
	netns   uint32
	several bool
}

var (
	anyIPv4 = netip.IPv4Unspecified().As16()
	anyIPv6 = netip.IPv6Unspecified().As16()
)

// newLocalEnds returns the local ends of a snapshot, none of which listens yet.
func newLocalEnds(snap *model.Snapshot) *localEnds {
	e := &localEnds{labels: make(map[endpoint]string), homes: make(map[[16]byte]home)}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if s.State != model.Established || isLoopback(s.LocalIP) {
			continue
		}
		if h, known := e.homes[s.LocalIP]; !known {
			e.homes[s.LocalIP] = home{netns: s.NetNS}
		} else if h.netns != s.NetNS && !h.several {
			e.homes[s.LocalIP] = home{several: true}
		}
	}
	return e
}

// listens notes a listening socket and the label of who listens.
func (e *localEnds) listens(s *model.Socket, label string) {
	at := endpoint{s.NetNS, s.LocalIP, s.LocalPort}
	e.labels[at] = label
	if s.LocalIP != anyIPv6 || s.V6Only {
		return
	}
	// It takes IPv4 connections too, where no listener has that address to itself.
	at.ip = anyIPv4
	if _, taken := e.labels[at]; !taken {
		e.labels[at] = label
	}
}

// label returns the label of who listens at the remote end of s, "" if nobody on this host does, or if several namespaces
// have its address, so that it cannot be told which is meant.
func (e *localEnds) label(s *model.Socket) string {
	netns := s.NetNS
	if !isLoopback(s.RemoteIP) {
		h, here := e.homes[s.RemoteIP]
		if !here || h.several {
			return ""
		}
		netns = h.netns
	}
	at := endpoint{netns, s.RemoteIP, s.RemotePort}
	if label, ok := e.labels[at]; ok {
		return label
	}
	at.ip = anyIPv6
	if netip.AddrFrom16(s.RemoteIP).Is4In6() {
		at.ip = anyIPv4
	}
	return e.labels[at]
}

func isLoopback(ip [16]byte) bool { return netip.AddrFrom16(ip).Unmap().IsLoopback() }
