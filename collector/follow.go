//go:build linux

package collector

import (
	"context"
	"fmt"
	"maps"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// Following reads a snapshot, and where nothing is wanted but what every
// snapshot has, while its dump goes on.
type Following struct {
	c     *Collector // nil for Whole
	f     *flight
	want  Want
	ready chan struct{} // there may be more; nil where only the whole is wanted
	view  model.Snapshot

	whole   *model.Snapshot
	release func()
}

// Whole returns a Following of a snapshot that is there already. Close calls
// release.
func Whole(snap *model.Snapshot, release func()) *Following {
	return &Following{whole: snap, release: release}
}

// Follow is as Snapshot, for those who can begin to read before the dump has
// ended: with a hundred thousand sockets that saves the time that the reading
// takes. Of what filter says, unless it is nil, the kernel looks at the states,
// the ports and the remote addresses: the snapshot has all listening sockets,
// and at least the connections that filter selects. Close must be called in the
// end.
func (c *Collector) Follow(want Want, filter *model.Filter) (*Following, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.followLocked(want, filter)
	if err != nil {
		return nil, err
	}
	r.f.evictable = true
	if want == (Want{}) {
		f := r.f
		r.ready = make(chan struct{}, 1)
		f.followers = append(f.followers, r)
	}
	return r, nil
}

// followLocked returns a Following that waits for the whole.
func (c *Collector) followLocked(want Want, filter *model.Filter) (*Following, error) {
	var only sockdiag.Only
	if filter != nil {
		only = sockdiag.NewOnly(filter)
	}
	f, err := c.boardLocked(want, only)
	if err != nil {
		return nil, err
	}
	return &Following{c: c, f: f, want: want}, nil
}

// Next waits until the dump has come further, or has ended, and returns the
// snapshot as far as it is known: the sockets of before, at the same indexes,
// and those that are new. It is good until Close. The last one, which may have
// nothing new, comes with ended. With a Want there is only the last one.
//
// The error is that of the dump, or ErrStopped, or the cause of ctx. What was
// read before an error may be only a part of what there is.
func (r *Following) Next(ctx context.Context) (snap *model.Snapshot, ended bool, err error) {
	if r.c == nil {
		return r.whole, true, nil
	}
	select {
	case <-r.ready:
	case <-r.f.done:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	select {
	case <-r.f.done:
		switch {
		case r.f.err != nil:
			return nil, false, r.f.err
		case r.ready != nil && r.f.begunAnew:
			return nil, false, fmt.Errorf("follow the dump: %w", sockdiag.ErrInterrupted)
		case r.want.Owners && r.f.ownersErr != nil:
			return nil, false, r.f.ownersErr
		}
		return r.f.lease.snap, true, nil
	default:
		r.view = r.f.part
		return &r.view, false, nil
	}
}

// All waits for the whole snapshot. It is for who has not called Next.
func (r *Following) All(ctx context.Context) (*model.Snapshot, error) {
	if r.c != nil {
		r.c.mu.Lock()
		r.ready = nil
		r.c.mu.Unlock()
	}
	snap, _, err := r.Next(ctx)
	return snap, err
}

// Evicted is done when the snapshot has been read for so long that others wait
// for its memory: whoever waits for a slow client must then close it.
func (r *Following) Evicted() context.Context {
	if r.c == nil {
		return context.Background()
	}
	return r.f.evicted
}

// Close gives the snapshot back.
func (r *Following) Close() {
	if r.c == nil {
		r.release()
		return
	}
	r.c.leave(r.f)
}

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
	return func(sockets []model.Socket, from int) {
		c.history.join(sockets, from)
		if from < published {
			published = 0
			c.mu.Lock()
			f.begunAnew = true
			c.mu.Unlock()
		}
		c.followZones(snap, sockets[from:])
		if len(sockets)-published < publishEvery {
			return
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
	}
}

// followZones looks up the zones of new sockets. What followers were given is
// not changed.
func (c *Collector) followZones(snap *model.Snapshot, sockets []model.Socket) {
	for i := range sockets {
		if s := &sockets[i]; s.NeedsZone() {
			snap.Zones = maps.Clone(snap.Zones)
			c.joinZone(snap, model.Interface{NetNS: s.NetNS, Index: s.Interface})
		}
	}
}
