package model

import (
	"iter"
	"time"
)

// Snapshot is all sockets of one dump, joined with what else is known of them.
// Whoever was handed one reads it and changes nothing.
type Snapshot struct {
	// Began is when the dump was begun, by the monotonic clock of Socket.Seen.
	Began time.Duration
	// NetNS is the network namespace of this daemon, as in Socket.NetNS.
	NetNS uint32
	// NetNSLabels say what people call the other namespaces: the name of one
	// that has one (ip-netns(8)), else what the links in /proc/PID/ns say of it,
	// such as net:[4026532281].
	NetNSLabels map[uint32]string
	// Zones are the names of the interfaces of sockets that need one; an
	// interface that is not in it, or is "" there, is called by its index.
	Zones map[Interface]string
	// Sockets has every socket once, in the kernel's order.
	Sockets []Socket
	// Known has at each index what is known of the socket at that index.
	Known []Known
	// Owners are the processes that Known.Owner points to, each once; empty
	// if the owners were not asked for.
	Owners []Owner
	// Shared are the further owners of listening sockets that have several, as
	// a server has that hands its listener to its workers.
	Shared []SharedListener
	// Containers are those that Known.Container and Owner.Container point to,
	// each once; empty if they were not asked for.
	Containers []Container
	// Bound are the indexes of the interfaces that have the addresses of the
	// namespaces; empty if listeners were not asked for.
	Bound map[Address]uint32
}

// Known is what this host knows of a socket beyond the kernel's dump.
type Known struct {
	// Age is how long ago the socket was opened.
	Age time.Duration
	// Download and Upload are the current payload rates, bytes per second.
	Download, Upload uint64
	// ID is the connection_id.
	ID [16]byte
	// Owner is an index into Snapshot.Owners, or NoOwner.
	Owner int32
	// Container is an index into Snapshot.Containers, or NoContainer.
	Container int32
	// ForwardsTo is the port of Container, or of one that is not known, to which
	// this listener of a docker-proxy passes connections on; else 0.
	ForwardsTo uint16
	// AgeExact is false where Age is only a floor: the socket is older than
	// the first dump that showed it, by an unknown time.
	AgeExact bool
	// Incoming is set where the peer opened the connection.
	Incoming bool
}

// NoOwner is Known.Owner where no owner is known.
const NoOwner int32 = -1

// Owner is a process that holds a socket open.
type Owner struct {
	// PID is its number as seen by this daemon.
	PID int32
	// Name is its comm, at most 15 bytes, of any value but NUL.
	Name string
	// Container is an index into Snapshot.Containers: the container that the
	// process is in, or that it only passes connections on to, as docker-proxy
	// does, or NoContainer.
	Container int32
	// Label and Icon are what a person calls the program and the word for its
	// picture; Command is its command line as it may be shown. They are known of
	// owners of listeners, and only where they were asked for.
	Label, Icon, Command string
}

// SharedListener is one more owner of a listening socket.
type SharedListener struct {
	// Inode is Socket.Inode.
	Inode uint32
	// Owner is an index into Snapshot.Owners.
	Owner int32
}

// owners yields the owners of the socket at index i, as indexes into Owners: of
// a listening socket all that were asked for, of another the first.
func (s *Snapshot) owners(i int) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		if owner := s.Known[i].Owner; owner != NoOwner && !yield(owner) {
			return
		}
		if s.Sockets[i].State != Listen {
			return
		}
		for _, shared := range s.Shared {
			if shared.Inode == s.Sockets[i].Inode && !yield(shared.Owner) {
				return
			}
		}
	}
}

// NetNSLabel says which network namespace the socket at index i is in, "" if it
// is the daemon's own.
func (s *Snapshot) NetNSLabel(i int) string {
	if inode := s.Sockets[i].NetNS; inode != s.NetNS {
		return s.NetNSLabels[inode]
	}
	return ""
}

// Owner returns the owner of the socket at index i, or nil where none is
// known.
func (s *Snapshot) Owner(i int) *Owner {
	n := s.Known[i].Owner
	if n < 0 || int(n) >= len(s.Owners) {
		return nil
	}
	return &s.Owners[n]
}
