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
	var kept []model.Socket
	c.foreseen = slices.DeleteFunc(c.foreseen, func(f foreseen) bool {
		if f.only == only {
			kept = f.sockets
		}
		return f.only == only
	})
	if len(snap.Sockets) > maxForeseenSockets {
		return
	}
	if len(c.foreseen) == maxForeseen {
		c.foreseen = slices.Delete(c.foreseen, 0, 1) // asked for the longest ago
	}
	c.foreseen = append(c.foreseen, foreseen{only, append(kept[:0], snap.Sockets...)})
}

// lookAhead looks at the processes while the dump of what only says goes on, and
// joins the sockets that it had the last time with all that want says of
// processes. To find twenty of a hundred thousand the kernel takes twenty
// milliseconds, in which a second processor has nothing to do; then their owners
// and what is known of those take one more, a third of it for /proc
// (docs/performance.md).
//
// The returned function waits for it; ahead is then a snapshot of those sockets,
// or nil.
func (c *Collector) lookAhead(ctx context.Context, only sockdiag.Only, want Want, ahead **model.Snapshot) (wait func() error) {
	at := slices.IndexFunc(c.foreseen, func(f foreseen) bool { return f.only == only })
	if at < 0 {
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
		if err := c.findOwners(ctx, snap, want.ListenerOwners, true); err == nil {
			c.setOwners(snap)
			c.joinProcesses(snap, want)
			*ahead = snap
		}
		done <- nil
	}()
	return func() error { return <-done }
}

// takeOver gives snap what ahead has of processes, if that is of the same
// sockets.
func takeOver(snap, ahead *model.Snapshot) bool {
	if ahead == nil || len(ahead.Sockets) != len(snap.Sockets) {
		return false
	}
	at := make(map[socketKey]int, len(ahead.Sockets))
	for i := range ahead.Sockets {
		s := &ahead.Sockets[i]
		at[socketKey{s.Cookie, s.NetNS}] = i
	}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		j, found := at[socketKey{s.Cookie, s.NetNS}]
		if !found || ahead.Sockets[j].Inode != s.Inode || ahead.Sockets[j].State.IsConnection() != s.State.IsConnection() {
			return false
		}
	}
	for i := range snap.Sockets {
		s, known := &snap.Sockets[i], &snap.Known[i]
		from := &ahead.Known[at[socketKey{s.Cookie, s.NetNS}]]
		known.Owner, known.Container, known.ForwardsTo = from.Owner, from.Container, from.ForwardsTo
	}
	snap.Owners, snap.Shared, snap.Containers = ahead.Owners, ahead.Shared, ahead.Containers
	return true
}
