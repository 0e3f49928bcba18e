package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// garbage returns the percentage of garbage that is let pile up.
func garbage() int {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	return percent
}

// How much garbage is let pile up follows the sockets, of which twice as many as few, and half as many as many, change nothing.
func TestGarbageFollowsSockets(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for _, test := range []struct {
		name     string
		atStart  int
		percent  int // before the first dump
		dumps    []int
		percents []int
		ballast  []int
	}{
		{
			"a small host that grows, and shrinks", 10, garbageOfStart,
			[]int{10, 2 * fewSockets, 2*fewSockets + 1, manySockets - 1, manySockets, manySockets / 2, manySockets/2 - 1, fewSockets + 1, fewSockets},
			[]int{100, 100, 100, 100, garbageOfMany, garbageOfMany, garbageOfFew, garbageOfFew, garbageOfFew},
			[]int{ballastOfFew, ballastOfFew, 0, 0, 0, 0, 0, 0, ballastOfFew},
		},
		{"one with many from the start", manySockets, garbageOfMany, []int{manySockets, 1}, []int{garbageOfMany, garbageOfFew}, []int{0, ballastOfFew}},
	} {
		debug.SetGCPercent(100)
		m := followMemory(test.atStart)
		if got := garbage(); got != test.percent {
			t.Errorf("%s: %d %% at the start, want %d", test.name, got, test.percent)
		}
		for i, sockets := range test.dumps {
			m.dumped(sockets)
			if got := garbage(); got != test.percents[i] || len(m.ballast) != test.ballast[i] {
				t.Errorf("%s: after a dump of %d %d %% and a ballast of %d, want %d %% and %d", test.name, sockets, got, len(m.ballast), test.percents[i], test.ballast[i])
			}
		}
	}
}

// Who says how much memory there may be is given no ballast, which would count.
func TestNoBallastWhereItIsTold(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for name, tell := range map[string]func() (undo func()){
		"GOMEMLIMIT": func() func() {
			before := debug.SetMemoryLimit(math.MaxInt64 - 1)
			return func() { debug.SetMemoryLimit(before) }
		},
		"GOGC": func() func() {
			debug.SetGCPercent(50)
			return func() { debug.SetGCPercent(100) }
		},
	} {
		undo := tell()
		m := followMemory(1)
		if m.dumped(1); m.ballast != nil {
			t.Errorf("%s: a ballast of %d bytes, want none", name, len(m.ballast))
		}
		undo()
	}
}

// A ballast takes no memory, also one that comes where something else was.
func TestBallastTakesNoMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	m := followMemory(1)
	for round := range 3 {
		m.dumped(2*fewSockets + 1)
		used := bytes.Repeat([]byte{1}, ballastOfFew)
		runtime.KeepAlive(used)
		used = nil
		runtime.GC()
		m.dumped(1)
		if got := inMemory(t, m.ballast); got > ballastOfFew/100 {
			t.Errorf("round %d: %d bytes of %d are in memory", round, got, len(m.ballast))
		}
	}
}

// inMemory returns how many bytes of b are, with mincore(2).
func inMemory(t *testing.T, b []byte) (n int) {
	t.Helper()
	pages := make([]byte, len(b)/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range pages {
		n += int(page&1) * os.Getpagesize()
	}
	return n
}
