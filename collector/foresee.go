//go:build linux

package collector

import (
	"context"
	"fmt"
	"slices"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// foreseen is what a request for some of the sockets had, which the next one for
// the same most likely has too: who asks for a port asks again and again.
type foreseen struct {
	only    sockdiag.Only
	sockets []model.Socket
	steady  bool // the request before had the same
}

// How many requests' sockets are kept, and how many sockets of each.
const (
	maxForeseen        = 8
	maxForeseenSockets = 1024
)

// foresee keeps the sockets of a snapshot of what only says, unless that is all.
func (c *Collector) foresee(only sockdiag.Only, snap *model.Snapshot) {
	if only.All() {
		return
	}
	var before []model.Socket
	c.foreseen = slices.DeleteFunc(c.foreseen, func(f foreseen) bool {
		if f.only == only {
			before = f.sockets
		}
		return f.only == only
	})
	if len(snap.Sockets) > maxForeseenSockets {
		return
	}
	if len(c.foreseen) == maxForeseen {
		c.foreseen = slices.Delete(c.foreseen, 0, 1) // asked for the longest ago
	}
	_, steady := places(snap.Sockets, before)
	c.foreseen = append(c.foreseen, foreseen{only, append(before[:0], snap.Sockets...), steady})
}

// lookAhead looks at the processes while the dump of what only says goes on, and
// joins the sockets that it had the last time with all that want says of
// processes, and the addresses of the daemon's own namespace. To find twenty of a
// hundred thousand the kernel takes ten to twenty milliseconds, in which a second
// processor may have nothing to do; after it they would take one or two more. It is
// not done where the kernel is quick, nor where other sockets come and go all the
// time: then it would be done twice.
//
// The returned function waits for it; ahead is then a snapshot of those sockets,
// or nil.
func (c *Collector) lookAhead(ctx context.Context, only sockdiag.Only, want Want, ahead **model.Snapshot) (wait func() error) {
	at := slices.IndexFunc(c.foreseen, func(f foreseen) bool { return f.only == only })
	if at < 0 || !c.foreseen[at].steady || c.latest <= shortDump {
		return c.look(ctx, only)
	}
	sockets := c.foreseen[at].sockets
	done := make(chan error, 1)
	go func() {
		if err := c.options.Owners.LookSome(ctx); err != nil {
			done <- fmt.Errorf("look at the processes: %w", err)
			return
		}
		snap := &model.Snapshot{Sockets: sockets, Known: make([]model.Known, len(sockets))}
		for i := range snap.Known {
			snap.Known[i] = model.Known{Owner: model.NoOwner, Container: model.NoContainer}
		}
		// Where it fails they are looked for once more, after the dump.
		if err := c.findOwners(ctx, snap, want.ListenerOwners, c.options.Owners.FindRemembered); err == nil {
			c.setOwners(snap)
			c.joinProcesses(snap, only, want)
			if want.Listeners && c.namespaces.want.Name == "" {
				addAddresses(snap, c.options.Self, c.namespaces.linksAhead)
			}
			*ahead = snap
		}
		done <- nil
	}()
	return func() error { return <-done }
}

// takeOver gives snap what ahead has of processes, if that is of the same
// sockets.
func takeOver(snap, ahead *model.Snapshot) bool {
	if ahead == nil {
		return false
	}
	at, same := places(snap.Sockets, ahead.Sockets)
	if !same {
		return false
	}
	for i := range snap.Sockets {
		known, from := &snap.Known[i], &ahead.Known[at[i]]
		known.Owner, known.Container, known.ForwardsTo = from.Owner, from.Container, from.ForwardsTo
	}
	snap.Owners, snap.Shared, snap.Containers = ahead.Owners, ahead.Shared, ahead.Containers
	return true
}

// places returns at which index of others each of sockets is, and whether those
// are the same and no more: in all that a look at processes goes by.
func places(sockets, others []model.Socket) (at []int, same bool) {
	if len(sockets) != len(others) {
		return nil, false
	}
	index := make(map[socketKey]int, len(others))
	for i := range others {
		index[socketKey{others[i].Cookie, others[i].NetNS}] = i
	}
	at = make([]int, len(sockets))
	for i := range sockets {
		s := &sockets[i]
		j, found := index[socketKey{s.Cookie, s.NetNS}]
		if !found {
			return nil, false
		}
		other := &others[j]
		if s.Inode != other.Inode || s.CgroupID != other.CgroupID || s.Local() != other.Local() || s.Remote() != other.Remote() || s.State.IsConnection() != other.State.IsConnection() {
			return nil, false
		}
		at[i] = j
	}
	return at, true
}
