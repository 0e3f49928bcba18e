package main

import (
	"math"
	"runtime/debug"
	"testing"
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

// Who limits the memory is not given a ballast, which would count.
func TestNoBallastWithinALimit(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64 - 1))
	m := followMemory(1)
	if m.dumped(1); m.ballast != nil {
		t.Errorf("a ballast of %d bytes, want none", len(m.ballast))
	}
}
