package model

import (
	"net/netip"
	"slices"
)

// Filter selects connections of a snapshot. The zero Filter selects them all.
type Filter struct {
	// States are the TCP states that are wanted; empty: all.
	States StateSet
	// LocalPorts and RemotePorts are the ports that are wanted; empty: all.
	LocalPorts, RemotePorts []uint16
	// RemoteAddresses are the networks that are wanted; empty: all. An
	// IPv4-mapped remote address is IPv4.
	RemoteAddresses []netip.Prefix
	// Incoming, unless nil, is the direction that is wanted.
	Incoming *bool
	// PID, unless 0, is the owner that is wanted.
	PID int32
}

// NeedsOwners reports whether the filter looks at owners.
func (f *Filter) NeedsOwners() bool { return f.PID != 0 }

// Match reports whether the socket at index i of s is a connection that the
// filter selects.
func (f *Filter) Match(s *Snapshot, i int) bool {
	sock := &s.Sockets[i]
	if !sock.State.IsConnection() {
		return false
	}
	if f.States != 0 && !f.States.Has(sock.State) {
		return false
	}
	if f.Incoming != nil && *f.Incoming != s.Known[i].Incoming {
		return false
	}
	if len(f.LocalPorts) > 0 && !slices.Contains(f.LocalPorts, sock.LocalPort) {
		return false
	}
	if len(f.RemotePorts) > 0 && !slices.Contains(f.RemotePorts, sock.RemotePort) {
		return false
	}
	if len(f.RemoteAddresses) > 0 && !containsAddr(f.RemoteAddresses, sock.Remote().Addr()) {
		return false
	}
	if f.PID != 0 {
		owner := s.Owner(i)
		return owner != nil && owner.PID == f.PID
	}
	return true
}

func containsAddr(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
