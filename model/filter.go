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
	// Process, unless "", is the name of the owner that is wanted. Only as much
	// of it counts as the kernel keeps of a name.
	Process string
}

// maxName is TASK_COMM_LEN of include/linux/sched.h without the NUL.
const maxName = 15

// NeedsOwners reports whether the filter looks at owners.
func (f *Filter) NeedsOwners() bool { return f.PID != 0 || f.Process != "" }

// MatchListener reports whether the listener at index i of s is one of those
// that the filter selects by owner and local port. What it says of states, the
// direction and the remote end speaks of connections only.
func (f *Filter) MatchListener(s *Snapshot, i int) bool {
	return s.Sockets[i].State == Listen && f.matchLocal(s, i)
}

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
	if len(f.RemotePorts) > 0 && !slices.Contains(f.RemotePorts, sock.RemotePort) {
		return false
	}
	if len(f.RemoteAddresses) > 0 && !containsAddr(f.RemoteAddresses, sock.Remote().Addr()) {
		return false
	}
	return f.matchLocal(s, i)
}

// matchLocal reports whether the local port and the owner are those wanted.
func (f *Filter) matchLocal(s *Snapshot, i int) bool {
	if len(f.LocalPorts) > 0 && !slices.Contains(f.LocalPorts, s.Sockets[i].LocalPort) {
		return false
	}
	if !f.NeedsOwners() {
		return true
	}
	for n := range s.owners(i) {
		owner := &s.Owners[n]
		if (f.PID == 0 || owner.PID == f.PID) && (f.Process == "" || owner.Name == f.Process[:min(len(f.Process), maxName)]) {
			return true
		}
	}
	return false
}

func containsAddr(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
