//go:build linux

package collector

import (
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// toldOwners are the owners of a snapshot that somebody can be told of, by their index. Every snapshot has all listeners of the
// host. Who asks for one local port, which is to be quick, is told of those on that port and where the connections go: the
// others' command lines and cgroups, two files of /proc for each, are then not read.
type toldOwners struct {
	all    bool
	owners []bool
}

// has reports whether the owner with an index is one of them.
func (t *toldOwners) has(owner int32) bool { return t.all || owner >= 0 && t.owners[owner] }

// find finds those of a snapshot of what only says. With several namespaces they are all: who listens on the port of a
// host can pass on to one of a container that listens on another.
func (t *toldOwners) find(snap *model.Snapshot, only sockdiag.Only, want Want) {
	port := only.LocalPort()
	if t.all = port == 0 || want.ListenerOwners; t.all {
		return
	}
	var remote [1 << 16 / 64]uint64 // of connections: a bit for each port
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		t.all = t.all || s.NetNS != snap.Sockets[0].NetNS
		if s.State.IsConnection() {
			remote[s.RemotePort/64] |= 1 << (s.RemotePort % 64)
		}
	}
	if t.all {
		return
	}
	t.owners = append(t.owners[:0], make([]bool, len(snap.Owners))...)
	for i := range snap.Sockets {
		s, owner := &snap.Sockets[i], snap.Known[i].Owner
		isTold := s.State.IsConnection() || s.LocalPort == port || remote[s.LocalPort/64]>>(s.LocalPort%64)&1 != 0
		if owner >= 0 && isTold {
			t.owners[owner] = true
		}
	}
}
