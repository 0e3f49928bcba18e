//go:build linux

package collector

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
)

// shortDump is up to how many sockets a dump is held to be short: it takes some
// milliseconds.
const shortDump = 4096

// A short dump is put off for as long as somebody comes, and then for a part of what
// the latest one took, up to maxGather: to wait for another costs all who have come,
// and saves one dump. It is counted in looks at the network, of which one that finds
// nothing takes about lookTakes (BenchmarkLook): while others have something to do,
// those who are to come cannot. Where that does not end, it does after gatherWithin.
const (
	gatherShare  = 4
	maxGather    = 50 * time.Microsecond
	lookTakes    = time.Microsecond
	gatherWithin = 2 * time.Millisecond
)

// gathering puts off a short dump until those are there who will ask for the same:
// with few sockets a dump is most of what a request costs, and each that can share
// one saves its own. Clients that ask again and again do so at once when they have
// their answers. Without this, those who came during a dump would have the next for
// themselves, and those whom that dump had answered the one after that: two groups,
// each of which waits for the dump of the other.
type gathering struct {
	network *network

	// Of the latest short dump that was asked for.
	only     sockdiag.Only
	scope    uint16
	expected int // who are to come: those who had it, and who waited for the next when it ended
	took     time.Duration
}

// gather is called before the dump of the oldest pending flight begins. In the end the
// processor is offered to whoever waits for it, another thread or a client on the
// same host, which the kernel would let wait for this one's turn to end: without
// that it is up to 4 ms (a tick), and the slowest of a hundred answers takes half as
// long again. That gives way to all who wait, and so is done only where clients
// share dumps.
func (c *Collector) gather() {
	if c.latest > shortDump {
		return
	}
	g := &c.gathering
	began := c.options.Clock()
	g.see(g.expected)
	most := c.waiting(g.only, g.scope)
	patience := int(min(g.took/gatherShare, maxGather) / lookTakes)
	for left := patience; left > 0 && most > 0 && most < g.expected && c.options.Clock()-began < gatherWithin; left-- {
		g.network.look()
		if waiting := c.waiting(g.only, g.scope); waiting > most {
			most, left = waiting, patience
		}
	}
	if g.expected > 1 {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // it does not fail
	}
}

// landed is called when the dump of a flight has ended, before those who waited for
// it know: who has come by then has come during the dump.
func (c *Collector) landed(f *flight) {
	if c.latest > shortDump {
		return
	}
	g := &c.gathering
	g.see(f.boarded)
	g.only, g.scope, g.took = f.only, f.want.Scope, time.Since(f.times.Began)
	g.expected = f.boarded + c.waiting(g.only, g.scope)
}

// see sees to it that those who have come have boarded, where so many share dumps.
// With more than one processor for Go, one that has nothing to do has looked at the
// network already: who asks alone need not wait for it to be woken.
func (g *gathering) see(sharing int) {
	if sharing > 1 || runtime.GOMAXPROCS(0) == 1 {
		g.network.look()
	}
}

// waiting returns how many wait for the oldest pending flight, if it is one of these
// sockets.
func (c *Collector) waiting(only sockdiag.Only, scope uint16) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 || c.pending[0].only != only || c.pending[0].want.Scope != scope {
		return 0
	}
	return c.pending[0].waiting
}
