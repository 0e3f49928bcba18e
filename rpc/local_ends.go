package rpc

import (
	"net/netip"

	"github.com/connectionsd/connectionsd/model"
)

// localEnds tells of a remote end that is on this host who listens there.
type localEnds struct {
	labels map[model.Endpoint]string
	// homes are the namespaces of the addresses that connections of the snapshot end at: the one that has the address, or
	// several if the addresses of namespaces overlap.
	homes map[[16]byte]home
}

type home struct {
	netns   uint32
	several bool
}

// newLocalEnds returns the local ends of a snapshot, none of which listens yet.
func newLocalEnds(snap *model.Snapshot) *localEnds {
	e := &localEnds{labels: make(map[model.Endpoint]string), homes: make(map[[16]byte]home)}
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
