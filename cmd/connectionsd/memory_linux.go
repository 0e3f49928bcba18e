package main

import (
	"math"
	"runtime/debug"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// manySockets is from where on the memory that the sockets take is most of what
// the daemon takes.
const manySockets = 20_000

// The garbage that is let pile up, in percent of the memory in use. On a small
// host what requests leave behind is most of it, and Go's own setting is right.
// With many sockets hardly any garbage is made, since what they take is used
// again: then the same percentage would be a hundred megabytes for nothing.
const (
	garbageOfFew  = 100
	garbageOfMany = 10
	// garbageOfStart is until the first dump, of few sockets: loading the BPF
	// program leaves ten megabytes of it, and to collect that meanwhile takes a
	// third of the time until the daemon answers.
	garbageOfStart = 400
)

// ballastOfFew is how many bytes more of garbage are let pile up on a small host, up
// to fewSockets. To collect it takes a quarter of the one processor that Go has then
// for two milliseconds. After four megabytes, which are Go's own least, that was after
// each few hundred requests, and who asked meanwhile were the slowest of a hundred.
const ballastOfFew = 32 << 20

// memoryFollower keeps what the daemon takes in proportion to the sockets.
type memoryFollower struct {
	before        int // what there was before the start
	started, many bool
	told          bool // GOGC or GOMEMLIMIT says how much there may be
	// ballast counts as memory in use, and so makes room for as much garbage as it
	// has bytes, whatever else is in use: to raise the percentage would multiply that.
	// Nothing is in it, so that it takes no memory but addresses.
	ballast []byte
}

// followMemory is called at the start, when this host has so many sockets.
func followMemory(sockets int) *memoryFollower {
	m := &memoryFollower{many: sockets >= manySockets}
	percent := garbageOfStart
	if m.many { // the first dump would leave most of the garbage of all
		percent = garbageOfMany
	}
	m.before = debug.SetGCPercent(percent)
	m.told = m.before != garbageOfFew || debug.SetMemoryLimit(-1) != math.MaxInt64
	return m
}

// socketsNow returns how many TCP sockets there are, in all network namespaces,
// as far as the kernel tells: "alloc" of /proc/net/sockstat. Where it does not, 0.
func socketsNow() int {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	stat, err := fs.NetSockstat()
	if err != nil {
		return 0
	}
	for _, p := range stat.Protocols {
		if p.Protocol == "TCP" && p.Alloc != nil {
			return *p.Alloc
		}
	}
	return 0
}

// dumped is told how many sockets each dump had.
func (m *memoryFollower) dumped(sockets int) {
	if !m.started {
		m.started = true
		if !m.many {
			debug.SetGCPercent(m.before)
		}
	}
	switch {
	case m.ballast == nil && sockets <= fewSockets && !m.told:
		m.ballast = make([]byte, ballastOfFew)
		// Where something else was before Go has cleared it, which has brought it into
		// memory. It fails only where a page is larger than Go's, and then it stays there.
		_ = unix.Madvise(m.ballast, unix.MADV_DONTNEED)
	case m.ballast != nil && sockets > 2*fewSockets:
		m.ballast = nil
	}
	switch {
	case !m.many && sockets >= manySockets:
		m.many = true
		debug.SetGCPercent(garbageOfMany)
	case m.many && sockets < manySockets/2:
		m.many = false
		debug.SetGCPercent(garbageOfFew)
	}
}
