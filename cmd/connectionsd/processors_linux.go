package main

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/connectionsd/connectionsd/collector"
)

// Up to fewSockets one processor is enough for Go, where a dump of all takes no
// longer than shortDump: there is nothing in it that could overlap. With a large
// table, or with one for each of many network namespaces, a dump of few takes long
// too, and those who have nothing to do with it would wait.
const (
	fewSockets = 256
	shortDump  = time.Millisecond
)

// sameInRow is how many dumps in a row have to be as short, or twice as long: one
// alone can have waited for a processor.
const sameInRow = 8

// processorsFollower keeps Go to one processor while there are few sockets. What
// a request takes then is hardly more than to hand it from one goroutine to the
// next, and between two processors that costs more than it wins: a thread has to
// be woken, and a client on the same host has to wait for a processor which only
// looks for work. docs/performance.md has the figures. With more sockets to
// receive, parse, encode and send them overlaps on all processors.
type processorsFollower struct {
	few         bool
	short, long int // dumps in a row
	// ready is set once all threads are made that several processors need.
	ready atomic.Bool
	// one and all have Go use one processor, or as many as it would by itself.
	one, all func()
}

// followProcessors returns a follower, which does nothing where GOMAXPROCS says
// how many processors Go is to use.
func followProcessors() *processorsFollower {
	if os.Getenv("GOMAXPROCS") != "" {
		return &processorsFollower{one: func() {}, all: func() {}}
	}
	return &processorsFollower{one: func() { runtime.GOMAXPROCS(1) }, all: runtime.SetDefaultGOMAXPROCS}
}

// dumped is told of each dump, by one goroutine.
func (p *processorsFollower) dumped(d collector.Dump) {
	if !d.All || d.Err != nil {
		return
	}
	p.short, p.long = p.short+1, p.long+1
	if d.Took > shortDump || d.Sockets > fewSockets {
		p.short = 0
	}
	if d.Took <= 2*shortDump {
		p.long = 0
	}
	switch {
	case !p.few && p.short >= sameInRow && p.ready.Load():
		p.few = true
		p.one()
	case p.few && (d.Sockets > 2*fewSockets || p.long >= sameInRow):
		p.few = false
		p.all()
	}
}
