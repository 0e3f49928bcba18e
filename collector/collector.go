//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// ErrStopped is returned for a snapshot that was asked for after, or was not
// begun before, the end of Run.
var ErrStopped = errors.New("the collector has stopped")

// ErrNoDump is LastDump's answer before the first dump has ended.
var ErrNoDump = errors.New("no dump has been made yet")

// Options are what a Collector is made of.
type Options struct {
	// Dumper dumps the sockets of the daemon's own network namespace.
	Dumper *sockdiag.Dumper
	// NetNS are the namespaces that are collected, and Self is the inode number
	// of the daemon's own.
	NetNS NetNS
	Self  uint32
	// Owners finds their owners.
	Owners *owner.Finder
	// Clock is the monotonic clock that Dumper marks sockets with.
	Clock func() time.Duration
	// IDs makes the connection_id.
	IDs *model.ConnectionIDs
	// OnSampleError is told of every dump of the sampler that failed, from
	// the goroutine of Run. Those of requests are the requests' to tell.
	OnSampleError func(error)
}

// Collector makes snapshots.
type Collector struct {
	options    Options
	history    *history
	namespaces *namespaces
	// wanted is the set of inodes that owners are looked for; kept for its memory.
	wanted map[uint32]int32
	// shared is the set of those of which all owners are looked for.
	shared map[uint32]struct{}
	// wake tells Run of a pending flight.
	wake chan struct{}

	mu       sync.Mutex
	pending  *flight // not begun yet; requests still board it
	stopped  bool
	lastDump error
	idle     []*model.Snapshot // for reuse
}

// flight is a dump and those who wait for it.
type flight struct {
	want    Want
	done    chan struct{}
	waiting int // guarded by Collector.mu
	lease   *lease
	err     error
	// ownersErr is why the owners could not be joined: the affair of those who
	// asked for them.
	ownersErr error
}

// lease counts the readers of a snapshot, so that its memory is used again
// after the last.
type lease struct {
	snap    *model.Snapshot
	readers int // guarded by Collector.mu
}

// New returns a Collector. It answers once Run runs.
func New(o Options) *Collector {
	return &Collector{
		options:    o,
		history:    newHistory(o.IDs),
		namespaces: newNamespaces(o.NetNS, o.Self, o.Dumper),
		wanted:     make(map[uint32]int32),
		shared:     make(map[uint32]struct{}),
		wake:       make(chan struct{}, 1),

		lastDump: ErrNoDump,
	}
}

// Snapshot returns a snapshot whose dump began after the call. Calls that come
// while a dump runs share the next one. release must be called when the
// snapshot has been read; its memory is then used again.
//
// The error is that of the dump, or ErrStopped, or the cause of ctx.
func (c *Collector) Snapshot(ctx context.Context, want Want) (snap *model.Snapshot, release func(), err error) {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil, nil, ErrStopped
	}
	if c.pending == nil {
		c.pending = &flight{done: make(chan struct{})}
	}
	f := c.pending
	f.want = f.want.and(want)
	f.waiting++
	c.mu.Unlock()

	select {
	case c.wake <- struct{}{}:
	default: // Run has been woken already
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		c.leave(f)
		return nil, nil, context.Cause(ctx)
	}
	if f.err != nil {
		return nil, nil, f.err
	}
	if want.Owners && f.ownersErr != nil {
		c.release(f.lease)
		return nil, nil, f.ownersErr
	}
	return f.lease.snap, func() { c.release(f.lease) }, nil
}

// LastDump returns the error of the latest dump, and ErrNoDump before the
// first has ended.
func (c *Collector) LastDump() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastDump
}

// leave takes one who no longer waits off a flight.
func (c *Collector) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.lease != nil { // it ended at the same moment
		c.releaseLocked(f.lease)
	}
}

func (c *Collector) release(l *lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked(l)
}

// maxIdle is how many snapshots are kept for reuse: one that is read and one
// that is made at the same time.
const maxIdle = 2

func (c *Collector) releaseLocked(l *lease) {
	if l.readers--; l.readers > 0 {
		return
	}
	s := l.snap
	// One that grew for many more sockets than there are now is let go.
	if len(c.idle) < maxIdle && cap(s.Sockets) <= 4*len(s.Sockets)+shrinkAbove {
		c.idle = append(c.idle, s)
	}
}

// The sampler's pace. A dump without a request is made when the last one is
// sampleEvery ago, and later where dumps take long, so that the sampler's part
// of one core is at most 1/sampleShare. An age is wrong by at most the time
// between two dumps; on a small host, where a dump takes 0.2 ms, four a second
// cost less than a thousandth of a core.
const (
	sampleEvery = 250 * time.Millisecond
	sampleShare = 100
)

// Run makes the dumps until ctx is done. It must be called once.
func (c *Collector) Run(ctx context.Context) {
	defer c.stop()
	defer c.namespaces.close()
	timer := time.NewTimer(0) // the first sample at once: ages are exact from there on
	defer timer.Stop()
	for {
		var took time.Duration
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			f := c.board()
			if f == nil {
				continue
			}
			took = c.fly(ctx, f)
		case <-timer.C:
			took = c.sample(ctx)
		}
		timer.Reset(max(sampleEvery, sampleShare*took))
	}
}

// board closes the pending flight for boarding and returns it, or nil if
// nobody waits any more.
func (c *Collector) board() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.pending
	c.pending = nil
	if f == nil || f.waiting == 0 {
		return nil
	}
	return f
}

// fly makes the dump of a flight and returns how long the dump and the
// history took, which is what the sampler's pace goes by.
func (c *Collector) fly(ctx context.Context, f *flight) time.Duration {
	snap, took, err := c.collect(ctx)
	var ownersErr error
	if err == nil {
		c.joinZones(snap)
		if f.want.Owners {
			ownersErr = stopped(ctx, c.joinOwners(ctx, snap, f.want.ListenerOwners))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.lease, f.err, f.ownersErr = &lease{snap: snap, readers: f.waiting}, stopped(ctx, err), ownersErr
	if err != nil || f.waiting == 0 {
		f.lease.readers = 1
		c.releaseLocked(f.lease)
		f.lease = nil
	}
	close(f.done)
	return took
}

// stopped says of an error that it is only the end of Run, if it is.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	return err
}

// sample makes a dump that nobody waits for.
func (c *Collector) sample(ctx context.Context) time.Duration {
	snap, took, err := c.collect(ctx)
	c.release(&lease{snap: snap, readers: 1})
	if err != nil && ctx.Err() == nil && c.options.OnSampleError != nil {
		c.options.OnSampleError(err)
	}
	return took
}

// collect makes one snapshot, without owners and zones, and returns how long
// that took. After an error the snapshot is good for reuse only.
func (c *Collector) collect(ctx context.Context) (*model.Snapshot, time.Duration, error) {
	snap := c.blank()
	snap.Began = c.options.Clock()
	var err error
	snap.Sockets, err = c.namespaces.dump(ctx, snap.Began, snap.Sockets[:0])
	c.mu.Lock()
	c.lastDump = err
	c.mu.Unlock()
	if err != nil {
		return snap, c.options.Clock() - snap.Began, err
	}
	snap.NetNS, snap.NetNSLabels = c.options.Self, c.namespaces.names
	if n := len(snap.Sockets); cap(snap.Known) < n {
		snap.Known = make([]model.Known, n, cap(snap.Sockets))
	} else {
		snap.Known = snap.Known[:n]
	}
	c.history.join(snap, c.namespaces.dumped)
	return snap, c.options.Clock() - snap.Began, nil
}

// blank returns a snapshot to fill.
func (c *Collector) blank() *model.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := new(model.Snapshot)
	if last := len(c.idle) - 1; last >= 0 {
		snap = c.idle[last]
		c.idle = c.idle[:last]
	}
	snap.Owners, snap.Shared = snap.Owners[:0], snap.Shared[:0]
	return snap
}

// joinZones looks up the names of the interfaces that link-local addresses are
// told with. They are looked up anew each time, since an interface can be
// renamed; hardly a host has such a connection. Of another namespace they are
// not known.
func (c *Collector) joinZones(snap *model.Snapshot) {
	clear(snap.Zones)
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if !s.NeedsZone() || s.NetNS != snap.NetNS {
			continue
		}
		at := model.Interface{NetNS: s.NetNS, Index: s.Interface}
		if _, known := snap.Zones[at]; known {
			continue
		}
		link, err := net.InterfaceByIndex(int(s.Interface))
		if err != nil {
			continue // gone by now: the index has to do
		}
		if snap.Zones == nil {
			snap.Zones = make(map[model.Interface]string)
		}
		snap.Zones[at] = link.Name
	}
}

// joinOwners looks for the owners after the dump: a descriptor that was closed
// in between is then an owner that is not known, never a wrong one, since the
// kernel does not use an inode number of sockfs again soon.
func (c *Collector) joinOwners(ctx context.Context, snap *model.Snapshot, allOfListeners bool) error {
	clear(c.wanted)
	clear(c.shared)
	for i := range snap.Sockets {
		inode := snap.Sockets[i].Inode
		if inode == 0 {
			continue
		}
		c.wanted[inode] = model.NoOwner
		if allOfListeners && snap.Sockets[i].State == model.Listen {
			c.shared[inode] = struct{}{}
		}
	}
	var err error
	snap.Owners, snap.Shared, err = c.options.Owners.Find(ctx, c.wanted, c.shared, snap.Owners, snap.Shared)
	if err != nil {
		return fmt.Errorf("find the owners of the sockets: %w", err)
	}
	for i := range snap.Sockets {
		if inode := snap.Sockets[i].Inode; inode != 0 {
			snap.Known[i].Owner = c.wanted[inode]
		}
	}
	return nil
}

// stop answers those who still wait, and all who come later, with ErrStopped.
func (c *Collector) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if f := c.pending; f != nil {
		c.pending = nil
		f.err = ErrStopped
		close(f.done)
	}
}
