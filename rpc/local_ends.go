package rpc

import (
	"net/netip"

	"github.com/connectionsd/connectionsd/model"
)

// localEnds tells of a remote end that is on this host who listens there.
type localEnds struct {
	labels map[model.Endpoint]string
	// homes are the namespaces of this host's addresses: the one that has the address, or several if the addresses of
	// namespaces overlap.
	homes map[[16]byte]home
}

type home struct {
	netns   uint32
	several bool
	told    bool // by an interface
}

// newLocalEnds returns the local ends of a snapshot, none of which listens yet. Where an address is the interfaces say, and
// of one that no interface has, as where a whole network is routed to this host, the connections that have it.
func newLocalEnds(snap *model.Snapshot) *localEnds {
	e := &localEnds{labels: make(map[model.Endpoint]string), homes: make(map[[16]byte]home)}
	for at := range snap.Bound {
		e.isAt(at.IP, home{netns: at.NetNS, told: true})
	}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if s.State == model.Established && !isLoopback(s.LocalIP) {
			e.isAt(s.LocalIP, home{netns: s.NetNS})
		}
	}
	return e
}

func (e *localEnds) isAt(ip [16]byte, at home) {
	h, known := e.homes[ip]
	switch {
	case !known:
		e.homes[ip] = at
	case h.told == at.told && h.netns != at.netns && !h.several:
		h.several = true
		e.homes[ip] = h
	}
}

// listens notes a listening socket and the label of who listens.
func (e *localEnds) listens(s *model.Socket, label string) {
	e.labels[s.LocalEndpoint()] = label
	// It may take IPv4 connections too, where no listener has that address to itself.
	if also, ok := s.DualStack(); ok {
		if _, taken := e.labels[also]; !taken {
			e.labels[also] = label
		}
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
	at := model.Endpoint{NetNS: netns, IP: s.RemoteIP, Port: s.RemotePort}
	if label, ok := e.labels[at]; ok {
		return label
	}
	return e.labels[at.Wildcard()]
}

func isLoopback(ip [16]byte) bool { return netip.AddrFrom16(ip).Unmap().IsLoopback() }
