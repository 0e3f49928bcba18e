package main

import (
	"os"
	"runtime"
	"sync/atomic"
)

// fewSockets is up to how many sockets one processor is enough for Go: its dump,
// which has nothing that could overlap, takes less than a millisecond.
const fewSockets = 256

// processorsFollower keeps Go to one processor while there are few sockets. What
// a request takes then is hardly more than to hand it from one goroutine to the
// next, and between two processors that costs more than it wins: a thread has to
// be woken, and a client on the same host has to wait for a processor which only
// looks for work. docs/performance.md has the figures. With more sockets to
// receive, parse, encode and send them overlaps on all processors.
type processorsFollower struct {
	few bool
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

// dumped is told how many sockets each dump had, by one goroutine.
func (p *processorsFollower) dumped(sockets int) {
	switch {
	case !p.few && sockets <= fewSockets && p.ready.Load():
		p.few = true
		p.one()
	case p.few && sockets > 2*fewSockets:
		p.few = false
		p.all()
	}
}
