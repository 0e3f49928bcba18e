//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

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
	Owners OwnerFinder
	// Proc is where the proc file system is mounted.
	Proc string
	// Services knows what people call the programs that listen, and CommandLines
	// says how much of their command lines is told.
	Services     *service.Table
	CommandLines process.CommandLines
	// Cgroups tells the containers of cgroups, and Engines what they are called;
	// nil is no engine.
	Cgroups *container.Cgroups
	Engines func() *container.List
	// Clock is the monotonic clock that Dumper marks sockets with.
	Clock func() time.Duration
	// Spent is how long this process has been on a core, on all of them, which
	// the sampler's pace goes by. Where it is nil or fails, how long dumps take
	// tells that.
	Spent func() (time.Duration, error)
	// IDs makes the connection_id.
	IDs *model.ConnectionIDs
	// OnDumpError, unless it is nil, is told by the goroutine of Run of each dump
	// of all sockets that failed, the sampler's and a request's: a request may be
	// the first to find that the kernel cannot be asked.
	OnDumpError func(error)
	// OnDump, unless it is nil, is told by the goroutine of Run how many sockets
	// each dump of all had.
	OnDump func(sockets int)
	// Observe and ObserveSample, unless they are nil, are told by the goroutine of
	// Run of every dump that was not broken off by the end of Run, and after each
	// sample what samples cost: the processor time that the one before took with
	// all that followed from it, or where this cannot be told how long it took.
	Observe       func(Dump)
	ObserveSample func(cost time.Duration)
}

// OwnerFinder finds the processes that hold sockets: an owner.Finder by /proc,
// an owner.Iterator by BPF.
type OwnerFinder interface {
	// All are owner.Finder's.
	TellsConnections() bool
	Connections(ctx context.Context, pid int32, dst []owner.Connection) ([]owner.Connection, error)
	Look(ctx context.Context) error
	LookSome(ctx context.Context) error
	FindSome(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
	FindRemembered(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
	Find(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
}

// Collector makes snapshots.
type Collector struct {
	options    Options
	history    *history
	namespaces *namespaces
	containers *containers
	processes  *process.Reader
	// wanted are the sockets that owners are looked for; kept for its memory.
	wanted owner.Wanted
	told   toldOwners // of the snapshot under way; kept for its memory
	// foreseen are those that requests for some of the sockets found lately.
	foreseen []foreseen
	// latest is how many sockets the latest dump of all had.
	latest    int
	pace      pace
	gathering gathering
	// wake tells Run of a pending flight, and freed of a snapshot that nobody
	// reads any more.
	wake, freed chan struct{}

	mu       sync.Mutex
	pending  []*flight // not begun yet, the oldest first; requests still board them
	stopped  bool
	lastDump error
	idle     []*model.Snapshot // for reuse
	spare    any               // what the readers of a snapshot shared, for reuse
	leased   []*flight         // whose snapshots are read, the oldest first
}

// flight is a dump and those who wait for it.
type flight struct {
	// What is wanted is guarded by Collector.mu until the dump begins, waiting
	// until it has ended.
	want      Want
	only      sockdiag.Only
	waiting   int
	boarded   int        // how many they were when it began
	shared    any        // by those who read the snapshot, guarded by Collector.mu
	followers []*boarded // those of the waiting who read while the dump goes on
	// part is what is known while the dump goes on. begunAnew is set where a
	// part that was known did not hold. Both are guarded by Collector.mu.
	part      model.Snapshot
	begunAnew bool

	evictable bool // some of the waiting heed evicted
	// evicted is done once the readers have had the snapshot for too long.
	evicted context.Context
	evict   context.CancelFunc

	times Times         // set before done is closed
	done  chan struct{} // closed when what follows is set
	lease *lease
	err   error
	// ownersErr is why the owners could not be joined: the affair of those who
	// asked for them.
	ownersErr error
}

// lease counts the readers of a snapshot, so that its memory is used again
// after the last.
type lease struct {
	snap    *model.Snapshot
	readers int // guarded by Collector.mu
	flight  *flight
}

// New returns a Collector. It answers once Run runs.
func New(o Options) *Collector {
	if o.Engines == nil {
		none := new(container.List)
		o.Engines = func() *container.List { return none }
	}
	processes := process.NewReader(o.Proc)
	return &Collector{
		containers: newContainers(o.Proc, o.Cgroups, o.Engines, processes.Arguments),
		processes:  processes,
		options:    o,
		history:    newHistory(o.IDs),
		namespaces: newNamespaces(o.NetNS, o.Self, o.Dumper),
		wake:       make(chan struct{}, 1),
		freed:      make(chan struct{}, 1),

		lastDump: ErrNoDump,
	}
}

// Snapshot returns a snapshot whose dump began after the call. Calls that come
// while a dump runs share the next one. release must be called when the
// snapshot has been read; its memory is then used again. It is for readers who
// wait for nobody; Follow is for the others.
//
// The error is that of the dump, or ErrStopped, or the cause of ctx.
func (c *Collector) Snapshot(ctx context.Context, want Want) (snap *model.Snapshot, release func(), err error) {
	c.mu.Lock()
	b, err := c.followLocked(want, nil)
	c.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	snap, _, err = b.next(ctx)
	if err != nil {
		b.close()
		return nil, nil, err
	}
	return snap, b.close, nil
}

// boardLocked adds one who waits to the flight that has not begun yet and has
// the same sockets.
func (c *Collector) boardLocked(want Want, only sockdiag.Only) (*flight, error) {
	if c.stopped {
		return nil, ErrStopped
	}
	at := slices.IndexFunc(c.pending, func(f *flight) bool { return f.only == only && f.want.Scope == want.Scope })
	if at < 0 {
		at = len(c.pending)
		f := &flight{only: only, want: want, done: make(chan struct{})}
		f.evicted, f.evict = context.WithCancel(context.Background())
		c.pending = append(c.pending, f)
	}
	f := c.pending[at]
	f.want = f.want.and(want)
	f.waiting++
	c.wakeUp()
	return f, nil
}

// wakeUp tells Run that a flight is pending.
func (c *Collector) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // it has been told already
	}
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

// maxLeased is how many snapshots can be read at the same time: as long as there
// are so many, no other is made. patience is how long a dump is put off for those
// who read one before they are asked to give it back, the one who has had one
// longest first. Most read faster than dumps are made; a client that takes nothing
// must not keep others from theirs, nor the memory of ever more snapshots.
// samplePatience is that of the sampler, which looks for room each roomEvery: what
// it remembers of sockets grows old meanwhile, and namespaces that have ended are
// held by their netlink sockets.
const (
	maxLeased      = 2
	patience       = 10 * time.Millisecond
	samplePatience = 10 * time.Second
	roomEvery      = time.Second
)

// maxSpare is of how many sockets at most a snapshot may be for what its readers
// shared to be kept for reuse: of few it is much of what an answer leaves behind.
const maxSpare = 512

func (c *Collector) releaseLocked(l *lease) {
	if l.readers--; l.readers > 0 {
		return
	}
	if l.flight != nil {
		// After an error some who followed can still be reading, and of many sockets it would be much to keep.
		if l.flight.shared != nil && l.flight.err == nil && len(l.snap.Sockets) <= maxSpare {
			c.spare = l.flight.shared
		}
		c.leased = slices.DeleteFunc(c.leased, func(f *flight) bool { return f == l.flight })
		l.flight.evict() // frees the context
		select {
		case c.freed <- struct{}{}:
		default:
		}
	}
	s := l.snap
	// One that grew for many more sockets than there are now is let go.
	if len(c.idle) < maxIdle && (l.flight == nil || l.flight.only.All()) && cap(s.Sockets) <= 4*len(s.Sockets)+shrinkAbove {
		c.idle = append(c.idle, s)
	}
}

// The sampler's pace. A dump without a request is made when the last one is
// sampleEvery ago, and later where it costs more, so that an idle daemon takes
// at most 1/100 of one core. sampleShare is more than that 100, since what a
// sample costs differs: now and then garbage is collected. An age is wrong by at
// most the time between two dumps.
const (
	sampleEvery = 250 * time.Millisecond
	sampleShare = 150
)

// pace is what the latest samples cost.
type pace struct {
	costs [4]time.Duration
	spent time.Duration // Options.Spent, when the latest sample began
	alone bool          // no request has come since
}

// add adds what a sample cost. The first four count for nothing.
func (p *pace) add(cost time.Duration) {
	copy(p.costs[:], p.costs[1:])
	p.costs[len(p.costs)-1] = cost
}

// wait returns when the next sample is due: by the cheapest of the latest four.
// On a busy host a dump waits for a processor, and one that did is no reason to
// look away for many seconds.
func (p *pace) wait() time.Duration { return max(sampleEvery, sampleShare*slices.Min(p.costs[:])) }

// beginSample is called before a sample. It returns what the one before has cost
// with all that followed from it, and false where that cannot be told.
func (c *Collector) beginSample() (cost time.Duration, ok bool) {
	if c.options.Spent == nil {
		return 0, false
	}
	p, before := &c.pace, c.pace
	var err error
	p.spent, err = c.options.Spent()
	p.alone = err == nil
	return p.spent - before.spent, p.alone && before.alone
}

// Run makes the dumps until ctx is done. It must be called once.
func (c *Collector) Run(ctx context.Context) {
	defer c.stop()
	c.gathering.network = newNetwork()
	defer c.gathering.network.close()
	defer c.namespaces.close()
	defer c.containers.close()
	timer := time.NewTimer(0) // the first sample at once: ages are exact from there on
	defer timer.Stop()
	made := time.Now() // the latest dump of all
	var full time.Time // since when samples have no room, or when it was last asked for; the zero Time: they have
	for {
		var cost time.Duration
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			if !c.waitForRoom(ctx) {
				return
			}
			if time.Since(made) >= max(samplePatience, 2*c.pace.wait()) {
				// Those who ask for some of the sockets, one after the other, would have the room for good.
				c.sample(ctx)
				made, full = time.Now(), time.Time{}
			}
			c.gather()
			f := c.board()
			if f == nil {
				continue
			}
			c.pace.alone = false
			var inPart bool
			if cost, inPart = c.fly(ctx, f); inPart {
				continue // it is no sample of all sockets
			}
		case <-timer.C:
			if !c.hasRoom() {
				switch {
				case full.IsZero():
					full = time.Now()
				case time.Since(full) >= samplePatience:
					c.askBack()
					full = time.Now() // it takes some seconds until that is given back
				}
				timer.Reset(min(c.pace.wait(), roomEvery))
				continue
			}
			before, ok := c.beginSample()
			if cost = c.sample(ctx); ok {
				cost = before
			}
			if c.options.ObserveSample != nil {
				c.options.ObserveSample(cost)
			}
		}
		made, full = time.Now(), time.Time{}
		c.pace.add(cost)
		timer.Reset(c.pace.wait())
	}
}

// hasRoom reports whether another snapshot can be made.
func (c *Collector) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.leased) < maxLeased
}

// waitForRoom waits until another snapshot can be made, and asks for those that
// are read, one after the other. It returns false once ctx is done.
func (c *Collector) waitForRoom(ctx context.Context) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !c.hasRoom() {
		select {
		case <-ctx.Done():
			return false
		case <-c.freed:
		case <-timer.C:
			c.askBack()
			timer.Reset(patience)
		}
	}
	return true
}

// askBack asks for the snapshot that has been read the longest, of those that were
// not asked for yet.
func (c *Collector) askBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.leased, func(f *flight) bool { return f.evicted.Err() == nil }); i >= 0 {
		c.leased[i].evict()
	}
}

// board closes the oldest pending flight for boarding and returns it, or nil if
// nobody waits any more.
func (c *Collector) board() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.wake: // by one who has come since, or is told again below
	default:
	}
	for len(c.pending) > 0 {
		f := c.pending[0]
		c.pending = slices.Delete(c.pending, 0, 1)
		if f.waiting == 0 {
			f.evict() // frees the context
			continue
		}
		if len(c.pending) > 0 {
			c.wakeUp()
		}
		f.boarded = f.waiting
		return f
	}
	return nil
}

// fly makes the dump of a flight. It returns how long the dump and the history
// took, which is what the sampler's pace goes by, and whether it was in part: of
// some of the sockets, or not of all that is told of them.
func (c *Collector) fly(ctx context.Context, f *flight) (took time.Duration, inPart bool) {
	var snap *model.Snapshot
	some, info := false, true
	f.times.Began = time.Now()
	err := errAmongAll
	if f.want.Scope != 0 {
		snap, err = c.collectScope(ctx, f.want.Scope)
		some = err == nil
	}
	look, ahead := func() error { return nil }, (*model.Snapshot)(nil)
	byItself := err == nil
	if errors.Is(err, errAmongAll) {
		some = !f.only.All()
		switch {
		case f.want.Owners && some:
			look = c.lookAhead(ctx, f.only, f.want, &ahead)
		case f.want.Owners:
			look = c.look(ctx, f.only)
		}
		only := f.only
		if c.canDoWithoutInfo(f) {
			only, info = only.WithoutInfo(), false
		}
		snap, took, err = c.collect(ctx, only, f)
		if c.namespaces.parted {
			took *= 2 // of one processor
		}
	}
	f.times.Dumped = time.Now()
	ownersErr := look()
	if err == nil {
		c.joinInterfaces(snap, f.want.Listeners, ahead)
		if ownersErr == nil && !takeOver(snap, ahead) {
			ownersErr = c.joinAll(ctx, snap, f.only, f.want, some)
		}
		if f.want.Owners && !byItself {
			c.foresee(f.only, snap)
		}
	}
	if snap == nil {
		snap = new(model.Snapshot)
	}
	c.landed(f)
	f.times.Joined = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	f.part = model.Snapshot{}
	f.lease, f.err, f.ownersErr = &lease{snap: snap, readers: f.waiting, flight: f}, stopped(ctx, err), stopped(ctx, ownersErr)
	if f.evictable {
		c.leased = append(c.leased, f)
	}
	if err != nil || f.waiting == 0 {
		if len(f.followers) > 0 {
			f.lease.snap = new(model.Snapshot) // they may be reading what came before the error
		}
		f.lease.readers = 1
		c.releaseLocked(f.lease)
		f.lease = nil
	}
	close(f.done)
	return took, some || !info
}

// fewLookUps is of which share of the sockets the history may have to know tcp_info
// where the dump is made without: each of those is looked up by itself, 5 to 8 µs
// (BenchmarkLookup), where to leave it out saves 0.2 µs of every other.
const fewLookUps = 1. / 64

// canDoWithoutInfo reports whether the dump of a flight need not have tcp_info:
// nobody has asked for what comes from it, and the history knows nearly all of the
// sockets. Of few sockets it would save nothing. Those of a namespace that only the
// dump finds are all looked up, once.
func (c *Collector) canDoWithoutInfo(f *flight) bool {
	return f.want.NoInfo && f.only.All() && c.latest > shortDump &&
		c.history.lookUps(c.options.Clock()) <= fewLookUps*float64(c.latest)
}

// joinAll joins what comes from processes.
func (c *Collector) joinAll(ctx context.Context, snap *model.Snapshot, only sockdiag.Only, want Want, some bool) (err error) {
	if want.Owners {
		err = c.joinOwners(ctx, snap, want.ListenerOwners, some)
	}
	c.joinProcesses(snap, only, want)
	return err
}

// joinProcesses joins what is known of the owners.
func (c *Collector) joinProcesses(snap *model.Snapshot, only sockdiag.Only, want Want) {
	if want.Listeners || want.Containers {
		c.told.find(snap, only, want)
	}
	if want.Listeners {
		c.joinPrograms(snap)
	}
	if want.Containers {
		c.containers.join(snap, &c.told)
	}
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
	snap, took, _ := c.collect(ctx, sockdiag.Only{}, nil) // OnDumpError has been told
	c.release(&lease{snap: snap, readers: 1})
	return took
}

// collect makes one snapshot of what only says, without owners and zones, and
// returns how long that took. f is the flight whose followers are told, nil for
// none. After an error the snapshot is good for reuse only.
func (c *Collector) collect(ctx context.Context, only sockdiag.Only, f *flight) (snap *model.Snapshot, took time.Duration, err error) {
	snap = c.blank(only)
	snap.Began = c.options.Clock()
	defer func() {
		if c.options.Observe != nil && (err == nil || ctx.Err() == nil) {
			c.options.Observe(Dump{All: only.All(), Sockets: len(snap.Sockets), Took: took, Err: err})
		}
	}()
	c.history.begin(snap, only.All(), only.HasInfo(), c.again(ctx))
	room := snap.Sockets[:0]
	snap.Sockets, err = c.namespaces.dump(ctx, snap.Began, snap.Sockets[:0], only, f.hasProcessors(), c.history.unsettled, c.join(f, snap))
	c.mu.Lock()
	c.lastDump = err
	c.mu.Unlock()
	if err != nil {
		snap.Sockets = room
		if only.All() {
			c.history.fail(c.namespaces.isUnread)
			if ctx.Err() == nil && c.options.OnDumpError != nil {
				c.options.OnDumpError(err)
			}
		}
		return snap, c.options.Clock() - snap.Began, err
	}
	snap.NetNS, snap.NetNSLabels = c.options.Self, c.namespaces.names
	if !only.All() {
		c.history.endPart()
		return snap, c.options.Clock() - snap.Began, nil
	}
	c.history.end(c.namespaces.dumped)
	c.latest = len(snap.Sockets)
	if c.options.OnDump != nil {
		c.options.OnDump(len(snap.Sockets))
	}
	return snap, c.options.Clock() - snap.Began, nil
}

// hasProcessors reports whether the dump of a flight, nil for a sample, may take two
// processors: somebody waits for it, and no more than there are processors, which then
// make the records of the answers.
func (f *flight) hasProcessors() bool {
	return f != nil && f.boarded <= runtime.GOMAXPROCS(0)
}

// again is how the history looks at a connection once more.
func (c *Collector) again(ctx context.Context) func(*model.Socket) (model.Socket, bool, error) {
	return func(s *model.Socket) (model.Socket, bool, error) { return c.namespaces.lookUpAgain(ctx, s) }
}

// blank returns a snapshot to fill. One of a few sockets is new: it would keep
// the memory of many from those who need it.
func (c *Collector) blank(only sockdiag.Only) *model.Snapshot {
	if !only.All() {
		return new(model.Snapshot)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := new(model.Snapshot)
	if n := len(c.idle); n > 0 {
		slices.SortFunc(c.idle, func(a, b *model.Snapshot) int { return cap(a.Sockets) - cap(b.Sockets) })
		snap, c.idle = c.idle[n-1], c.idle[:n-1]
	}
	if n := c.latest + c.latest/32; cap(snap.Sockets) < c.latest { // a new one, or of a scope
		// Grown bit by bit it would leave several times its size behind.
		snap.Sockets, snap.Known = make([]model.Socket, 0, n), make([]model.Known, 0, n)
	}
	snap.Zones = nil // those who followed the last dump may have it still
	snap.Owners, snap.Shared, snap.Containers = snap.Owners[:0], snap.Shared[:0], snap.Containers[:0]
	return snap
}

// stop answers those who still wait, and all who come later, with ErrStopped.
func (c *Collector) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for _, f := range c.pending {
		f.err = ErrStopped
		f.evict()
		close(f.done)
	}
	c.pending = nil
}
