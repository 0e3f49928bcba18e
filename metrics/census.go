package metrics

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/connectionsd/connectionsd/model"
)

// The bounds of the series. A process and a container together are a group; those that have fewer sockets than the first
// maxGroups are one. Of the listening ports those have a scope to themselves that have accepted the most connections.
const (
	maxGroups = 50
	maxScopes = 20
)

// What the rest of the groups are called. No process has so long a name (TASK_COMM_LEN of the kernel).
const (
	otherProcesses  = "(other processes)"
	otherContainers = "(other containers)"
)

// direction of a socket, as an index.
type direction uint8

const (
	noDirection direction = iota // of a socket that is no connection
	incoming
	outgoing
	directions // how many there are
)

func (d direction) String() string { return [...]string{"", "incoming", "outgoing"}[d] }

// directionOf returns that of the socket at index i.
func directionOf(snap *model.Snapshot, i int) direction {
	switch {
	case !snap.Sockets[i].State.IsConnection():
		return noDirection
	case snap.Known[i].Incoming:
		return incoming
	default:
		return outgoing
	}
}

// states is how many indexes states have: 0 is for those that the model does not know.
const states = int(model.Closing) + 1

func stateIndex(s model.TCPState) int {
	if int(s) >= states {
		return 0
	}
	return int(s)
}

func stateName(index int) string {
	if index == 0 {
		return "UNKNOWN"
	}
	return model.TCPState(index).String()
}

// traffic is the payload of connections that are open: bytes so far, and bytes a second now.
type traffic struct {
	connections                        uint64
	received, sent, receiving, sending uint64
}

func (t *traffic) add(s *model.Socket, known *model.Known) {
	t.connections++
	t.received += s.RecvCount()
	t.sent += s.SendCount()
	t.receiving += known.Download
	t.sending += known.Upload
}

func (t *traffic) merge(other *traffic) {
	t.connections += other.connections
	t.received += other.received
	t.sent += other.sent
	t.receiving += other.receiving
	t.sending += other.sending
}

// names are those of a group: "" for what is not known.
type names struct{ process, container string }

// group is the sockets of one process name in one container, or of several.
type group struct {
	names
	sockets uint64
	counts  [states][directions]uint64
	traffic [directions]traffic
}

func (g *group) merge(other *group) {
	g.sockets += other.sockets
	for s := range other.counts {
		for d, n := range other.counts[s] {
			g.counts[s][d] += n
		}
	}
	for d := range other.traffic {
		g.traffic[d].merge(&other.traffic[d])
	}
}

// scope is the connections of the node that listens on a port.
type scope struct {
	port    uint16
	traffic [directions]traffic
}

// census is what is told of a snapshot's sockets: as much as there are names of processes and containers, however many
// sockets they have.
type census struct {
	groups []group // at most maxGroups and one for the rest
	scopes []scope // at most maxScopes
	of     int     // how many groups there were
}

// takeCensus counts the sockets of a snapshot that is joined with owners and containers: all, or unless port is 0 those of
// the node that listens there.
func takeCensus(snap *model.Snapshot, port uint16) *census {
	ports := []uint16{port}
	if port == 0 {
		ports = busiestPorts(snap)
	}
	all, ofOwner := scopes(snap, ports)
	c := &census{scopes: make([]scope, len(ports))}
	for i := range ports {
		c.scopes[i].port = ports[i]
	}
	found := newGroups()
	for i := range snap.Sockets {
		s, known, d := &snap.Sockets[i], &snap.Known[i], directionOf(snap, i)
		if port != 0 && !all[0].Match(snap, i) && !(s.State == model.Listen && all[0].MatchListener(snap, i)) {
			continue
		}
		g := found.of(snap, i)
		g.sockets++
		g.counts[stateIndex(s.State)][d]++
		if d == noDirection {
			continue
		}
		g.traffic[d].add(s, known)
		if known.Owner == model.NoOwner {
			continue // it is in no scope
		}
		for in := ofOwner[known.Owner]; in != 0; in &= in - 1 {
			if at := bits.TrailingZeros32(in); all[at].Match(snap, i) {
				c.scopes[at].traffic[d].add(s, known)
			}
		}
	}
	c.of = len(found.groups)
	c.groups = largest(found.groups)
	return c
}

// scopes returns the scope of each of some ports, which maxScopes allows to be as many as there are bits in what it returns
// of each owner: whether it is one of the scope's at that index.
func scopes(snap *model.Snapshot, ports []uint16) (all []model.Scope, ofOwner []uint32) {
	// A scope is made of what listens, which among a hundred thousand sockets is little.
	listening := model.Snapshot{Owners: snap.Owners, Shared: snap.Shared}
	for i := range snap.Sockets {
		if snap.Sockets[i].State == model.Listen {
			listening.Sockets = append(listening.Sockets, snap.Sockets[i])
			listening.Known = append(listening.Known, snap.Known[i])
		}
	}
	ofOwner = make([]uint32, len(snap.Owners))
	for at, port := range ports {
		of := listening.Scope(port)
		for _, owner := range of.Owners {
			ofOwner[owner] |= 1 << at
		}
		all = append(all, of)
	}
	return all, ofOwner
}

// busiestPorts returns at most maxScopes of the ports that somebody listens on, those that have accepted the most
// connections first, and of equals the lowest.
func busiestPorts(snap *model.Snapshot) []uint16 {
	accepted := make(map[uint16]int)
	for i := range snap.Sockets {
		if snap.Sockets[i].State == model.Listen {
			accepted[snap.Sockets[i].LocalPort] = 0
		}
	}
	for i := range snap.Sockets {
		if directionOf(snap, i) != incoming {
			continue
		}
		port := snap.Sockets[i].LocalPort
		if n, listens := accepted[port]; listens {
			accepted[port] = n + 1
		}
	}
	ports := make([]uint16, 0, len(accepted))
	for port := range accepted {
		ports = append(ports, port)
	}
	slices.SortFunc(ports, func(a, b uint16) int {
		return cmp.Or(cmp.Compare(accepted[b], accepted[a]), cmp.Compare(a, b))
	})
	return ports[:min(len(ports), maxScopes)]
}

// largest returns the groups with the most sockets, of equals the first by name, and behind them one of all others.
func largest(groups []group) []group {
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.sockets, a.sockets), cmp.Compare(a.process, b.process), cmp.Compare(a.container, b.container))
	})
	if len(groups) <= maxGroups {
		return groups
	}
	rest := group{names: names{otherProcesses, otherContainers}}
	for i := range groups[maxGroups:] {
		rest.merge(&groups[maxGroups+i])
	}
	return append(slices.Clone(groups[:maxGroups]), rest)
}

// groups finds the group of a socket. Names are looked at once for each process and container, and not for each socket.
type groups struct {
	groups []group
	byName map[names]int32
	byPair map[pair]int32
	last   pair // most often the next socket is of the same
	at     int32
}

// pair is an owner and a container, as indexes into those of the snapshot.
type pair struct{ owner, container int32 }

func newGroups() *groups {
	return &groups{byName: make(map[names]int32), byPair: make(map[pair]int32), at: -1}
}

// of returns the group of the socket at index i, good until the next call.
func (g *groups) of(snap *model.Snapshot, i int) *group {
	p := pair{snap.Known[i].Owner, snap.Known[i].Container}
	if p != g.last || g.at < 0 {
		at, found := g.byPair[p]
		if !found {
			at = g.named(namesOf(snap, i))
			g.byPair[p] = at
		}
		g.last, g.at = p, at
	}
	return &g.groups[g.at]
}

func (g *groups) named(n names) int32 {
	at, found := g.byName[n]
	if !found {
		at = int32(len(g.groups))
		g.groups = append(g.groups, group{names: n})
		g.byName[n] = at
	}
	return at
}

func namesOf(snap *model.Snapshot, i int) (n names) {
	if owner := snap.Owner(i); owner != nil {
		n.process = valid(owner.Name)
	}
	if container := snap.Container(i); container != nil {
		n.container = valid(cmp.Or(container.Shown(), container.ID[:min(len(container.ID), shownID)]))
	}
	return n
}

// shownID is how many digits of its id stand for a container whose name its engine does not tell.
const shownID = 12
