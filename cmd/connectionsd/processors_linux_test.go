package main

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/connectionsd/connectionsd/collector"
)

// Go has one processor while there are few sockets and their dumps are short. It is not told again with each dump, nor back
// and forth by a count that stays about there, or by one dump that had to wait.
func TestProcessorsFollowTheDumps(t *testing.T) {
	var told []string
	p := &processorsFollower{one: func() { told = append(told, "one") }, all: func() { told = append(told, "all") }}
	check := func(what string, n int, d collector.Dump, want ...string) {
		t.Helper()
		told = nil
		for range n {
			p.dumped(d)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%d %s: %v, want %v", n, what, told, want)
		}
	}
	of := func(sockets int, took time.Duration) collector.Dump {
		return collector.Dump{All: true, Sockets: sockets, Took: took}
	}
	short, long := of(256, shortDump), of(256, 2*shortDump+1)
	check("short dumps before all threads were made", 20, short)
	check("dumps of more", 1, of(257, shortDump))
	p.ready.Store(true)
	check("short dumps", 7, short)
	check("longer one", 1, of(256, shortDump+1))
	check("short dumps again", 7, short)
	check("the eighth", 1, short, "one")
	check("short dumps since", 20, short)
	check("dumps of 257 to 512", 20, of(512, shortDump))
	check("long dumps", 7, long)
	check("one of twice a short one", 1, of(256, 2*shortDump))
	check("long dumps again", 7, long)
	check("dumps of some of the sockets", 20, collector.Dump{Sockets: 1, Took: time.Second})
	check("failed dumps", 20, collector.Dump{All: true, Took: time.Second, Err: errors.New("no")})
	check("long one, the eighth", 1, long, "all")
	check("dumps of many", 20, of(100_000, 100*time.Millisecond))
	check("short dumps again", 8, short, "one")
	check("dump of more than 512", 1, of(513, shortDump), "all")
}

// Where GOMAXPROCS says how many processors Go is to use, it stays so.
func TestProcessorsOfTheEnvironment(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	t.Setenv("GOMAXPROCS", "2")
	p := followProcessors()
	p.ready.Store(true)
	for range sameInRow {
		p.dumped(collector.Dump{All: true})
	}
	if got := runtime.GOMAXPROCS(0); got != 2 || !p.few {
		t.Errorf("GOMAXPROCS is %d after short dumps of no socket, want 2 as before", got)
	}
}
