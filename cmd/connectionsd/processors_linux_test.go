package main

import (
	"runtime"
	"slices"
	"testing"
)

// Go has one processor while there are few sockets, and is not told again with
// each dump, nor back and forth by a count that stays about there.
func TestProcessorsFollowTheSockets(t *testing.T) {
	var told []string
	p := &processorsFollower{one: func() { told = append(told, "one") }, all: func() { told = append(told, "all") }}
	dumped := func(counts ...int) []string {
		told = nil
		for _, n := range counts {
			p.dumped(n)
		}
		return told
	}
	if got := dumped(0, 10, 256); got != nil {
		t.Errorf("before all threads were made: %v, want nothing", got)
	}
	p.ready.Store(true)
	for _, c := range []struct {
		counts []int
		want   []string
	}{
		{[]int{257, 100_000}, nil},
		{[]int{256, 0}, []string{"one"}},
		{[]int{257, 512, 300}, nil},
		{[]int{513, 100_000}, []string{"all"}},
		{[]int{300, 512}, nil},
		{[]int{256, 513, 256}, []string{"one", "all", "one"}},
	} {
		if got := dumped(c.counts...); !slices.Equal(got, c.want) {
			t.Errorf("dumps of %v sockets: %v, want %v", c.counts, got, c.want)
		}
	}
}

// Where GOMAXPROCS says how many processors Go is to use, it stays so.
func TestProcessorsOfTheEnvironment(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	p := followProcessors()
	p.ready.Store(true)
	before := runtime.GOMAXPROCS(0)
	p.dumped(1)
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS is %d after a dump of one socket, want %d as before", got, before)
	}
}
