//go:build linux

package collector

import (
	"context"
	"fmt"
	"maps"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// boarded is one who waits for a flight.
type boarded struct {
	c     *Collector
	f     *flight
	want  Want
	ready chan struct{}   // there may be more; nil where only the whole is wanted
	view  *model.Snapshot // what was told while the dump goes on; nil: nothing, as of a short one
}

// Follow is as Snapshot, for those who can begin to read before the dump has
// ended: with a hundred thousand sockets that saves the time that the reading
// takes. Of what filter says, unless it is nil, the kernel looks at the states,
// the ports and the remote addresses: the snapshot has at least the connections
// that filter selects and, where owners or listeners are wanted, all sockets that
// listen. Of those that filter does not select, where it has one local port, only
// the ones that a connection leads to have the program and the container of their
// owner. Close must be called in the end.
func (c *Collector) Follow(want Want, filter *model.Filter) (*Following, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.followLocked(want, filter)
	if err != nil {
		return nil, err
	}
	b.f.evictable = true
	if want == (Want{}) {
		b.ready = make(chan struct{}, 1)
		b.f.followers = append(b.f.followers, b)
	}
	return &Following{b}, nil
}

// followLocked boards for the whole.
func (c *Collector) followLocked(want Want, filter *model.Filter) (*boarded, error) {
	var only sockdiag.Only
	if filter != nil {
		only = sockdiag.NewOnly(filter)
	}
	if want == (Want{}) {
		// One dump less, and nobody asks for the other listeners.
		if both, ok := only.WithListeners(); ok {
			only = both
		}
	}
	f, err := c.boardLocked(want, only)
	if err != nil {
		return nil, err
	}
	return &boarded{c: c, f: f, want: want}, nil
}

func (b *boarded) next(ctx context.Context) (snap *model.Snapshot, ended bool, err error) {
	select {
	case <-b.ready:
	case <-b.f.done:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	select {
	case <-b.f.done:
		switch {
		case b.f.err != nil:
			return nil, false, b.f.err
		case b.ready != nil && b.f.begunAnew:
			return nil, false, fmt.Errorf("follow the dump: %w", sockdiag.ErrInterrupted)
		case b.want.Owners && b.f.ownersErr != nil:
			return nil, false, b.f.ownersErr
		}
		return b.f.lease.snap, true, nil
	default:
		if b.view == nil {
			b.view = new(model.Snapshot)
		}
		*b.view = b.f.part
		return b.view, false, nil
	}
}

func (b *boarded) onlyWhole() {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.ready = nil
}

func (b *boarded) shared(create func(before any) any) any {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	if b.f.boarded > 1 && b.f.shared == nil {
		b.f.shared, b.c.spare = create(b.c.spare), nil
	}
	return b.f.shared
}

func (b *boarded) evicted() context.Context { return b.f.evicted }

func (b *boarded) times() Times {
	select {
	case <-b.f.done:
		return b.f.times
	default:
		return Times{}
	}
}

func (b *boarded) close() { b.c.leave(b.f) }

// publishEvery is how many sockets a follower is told of at once: as many as
// make an answer worth sending, and few enough that the last of them do not
// keep it waiting.
const publishEvery = 512

// join returns the Join of a flight's dump: it joins the history and tells the
// followers.
func (c *Collector) join(f *flight, snap *model.Snapshot) sockdiag.Join {
	if f == nil || len(f.followers) == 0 {
		return c.history.join
	}
	published := 0
	return func(sockets []model.Socket, from int) int {
		sockets = sockets[:c.history.join(sockets, from)]
		if from < published {
			published = 0
			c.mu.Lock()
			f.begunAnew = true
			c.mu.Unlock()
		}
		c.followZones(snap, sockets[from:])
		if len(sockets)-published < publishEvery {
			return len(sockets)
		}
		published = len(sockets)
		c.mu.Lock()
		defer c.mu.Unlock()
		f.part = model.Snapshot{
			Began: snap.Began, NetNS: c.options.Self, NetNSLabels: c.namespaces.names, Zones: snap.Zones,
			Sockets: sockets, Known: snap.Known,
		}
		for _, r := range f.followers {
			select {
			case r.ready <- struct{}{}:
			default: // it has not looked yet
			}
		}
		return len(sockets)
	}
}

// followZones looks up the zones of new sockets. What followers were given is
// not changed.
func (c *Collector) followZones(snap *model.Snapshot, sockets []model.Socket) {
	for i := range sockets {
		s := &sockets[i]
		if !s.NeedsZone() {
			continue
		}
		at := model.Interface{NetNS: s.NetNS, Index: s.Interface}
		if _, known := snap.Zones[at]; !known {
			snap.Zones = maps.Clone(snap.Zones)
			c.joinZone(snap, at)
		}
	}
}
