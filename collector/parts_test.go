//go:build linux

package collector

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// crowd is a kernel with connections, each from another remote port, which heeds what it is asked for.
type crowd struct {
	of      []sockdiagtest.Message
	dumps   []string // that were asked for, but those of the sockets that listen
	lookUps int
	leaving func() // is called once a dump was made
}

// crowdOf has connections of those cookies.
func crowdOf(from, to int) *crowd {
	var c crowd
	for cookie := from; cookie < to; cookie++ {
		c.of = append(c.of, dumpOf(uint64(cookie))[0].Messages...)
	}
	return &c
}

// without returns those that are left without some in the middle.
func (c *crowd) without(n int) { c.of = slices.Delete(c.of, (len(c.of)-n)/2, (len(c.of)+n)/2) }

func (c *crowd) answer(r sockdiag.Request) sockdiagtest.Dump {
	const dump, listen, established = unix.NLM_F_DUMP, 1 << 10, 1 << 1
	remotePort := func(m sockdiagtest.Message) uint16 { return binary.BigEndian.Uint16(m.Payload[6:]) }
	inet := r.Bytes[16:]
	if binary.NativeEndian.Uint16(r.Bytes[6:])&dump != dump { // a look-up
		c.lookUps++
		at := slices.IndexFunc(c.of, func(m sockdiagtest.Message) bool { return remotePort(m) == binary.BigEndian.Uint16(inet[6:]) })
		if at < 0 {
			return sockdiagtest.Dump{sockdiagtest.Refusal(unix.ENOENT)}
		}
		return sockdiagtest.Dump{{Messages: c.of[at : at+1]}}
	}
	kind, takes := "whole", func(uint16) bool { return true }
	if states := binary.NativeEndian.Uint32(inet[52:]); states&established == 0 {
		return sockdiagtest.Sockets()
	} else if states&listen == 0 {
		// INET_DIAG_BC_D_GE and INET_DIAG_BC_D_LE with their ports, or the other way round with INET_DIAG_BC_JMP between.
		operand := func(at int) uint16 { return binary.NativeEndian.Uint16(inet[60+4+at+6:]) }
		switch inet[60+4] {
		case 4:
			kind, takes = "within", func(remote uint16) bool { return remote >= operand(0) && remote <= operand(8) }
		case 5:
			kind, takes = "others", func(remote uint16) bool { return remote <= operand(0) || remote >= operand(12) }
		}
	}
	var answer sockdiagtest.Dump
	var d sockdiagtest.Datagram
	for _, m := range c.of {
		if !takes(remotePort(m)) {
			continue
		}
		if d.Messages = append(d.Messages, m); len(d.Messages) == 80 {
			answer, d = append(answer, d), sockdiagtest.Datagram{}
		}
	}
	if len(d.Messages) > 0 {
		answer = append(answer, d)
	}
	c.dumps = append(c.dumps, kind)
	if c.leaving != nil {
		c.leaving()
	}
	return append(answer, sockdiagtest.Done(0))
}

// A dump is made in two parts where somebody waits for it, there are many sockets, and few leave; and once more, whole, where
// more have left meanwhile than seemed likely.
func TestWhichDumpsAreMadeInParts(t *testing.T) {
	const many, usual = 7000, 1 << 18
	whole, parts := []string{"whole"}, []string{"others", "within"}
	both := []string{"others", "within", "whole"}
	for name, test := range map[string]struct {
		sockets        int
		buckets        int
		oneProcessor   bool
		onlyOneAtATime bool
		isSample       bool
		countsNothing  bool
		left           int64 // of other connections, in the ten seconds before
		leave          int64 // while it is made
		goes           int   // of the sockets, once the first part was made
		want           []string
	}{
		"somebody waits":                  {sockets: many, want: parts},
		"a sample":                        {sockets: many, isSample: true, want: whole},
		"few sockets":                     {sockets: 5000, want: whole},
		"many in a bucket":                {sockets: many, buckets: many, want: whole},
		"how many buckets is not known":   {sockets: many, buckets: -1, want: whole},
		"one processor":                   {sockets: many, oneProcessor: true, want: whole},
		"before Linux 6.9":                {sockets: many, onlyOneAtATime: true, want: whole},
		"what leaves cannot be counted":   {sockets: many, countsNothing: true, want: whole},
		"some leave each second":          {sockets: many, left: 10 * 2000, want: parts},
		"many leave each second":          {sockets: many, left: 10 * 2400, want: whole},
		"with few buckets fewer are many": {sockets: many, buckets: 1 << 15, left: 10 * 300, want: whole},
		"some leave while it is made":     {sockets: many, leave: 16, want: parts},
		"more leave than may":             {sockets: many, leave: 17, want: both},
		"of these sockets":                {sockets: many, leave: 2000, goes: 2000, want: both},
	} {
		t.Run(name, func(t *testing.T) {
			processors := 2
			if test.oneProcessor {
				processors = 1
			}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			host := crowdOf(1, 1+test.sockets)
			kernel := &sockdiagtest.Kernel{Answer: host.answer}
			var kernelCounts counts
			has := buckets{n: usual, count: func(at time.Duration) (counts, bool) {
				kernelCounts.at = at
				return kernelCounts, !test.countsNothing
			}}
			if test.buckets != 0 {
				has.n = max(0, test.buckets)
			}
			made := newSnapshots(t, kernel, buckets{})
			made.of.ownBuckets, made.of.parts = has, !test.onlyOneAtATime
			made.look(t, 10*time.Second, false)
			made.look(t, 20*time.Second, false)
			kernelCounts.opened += test.left / 2 // each came in and was closed
			host.dumps = nil
			host.leaving = func() {
				if len(host.dumps) == 1 { // the first part was made
					host.without(test.goes)
					kernelCounts.inUse -= test.leave
				}
			}
			got := made.look(t, 30*time.Second, !test.isSample)
			slices.Sort(host.dumps[:min(2, len(host.dumps))]) // the parts are asked for in either order
			if diff := cmp.Diff(test.want, host.dumps); diff != "" {
				t.Errorf("the dumps (-want +got):\n%s", diff)
			}
			if again := len(test.want) > 2; again != (made.of.ownBuckets.whole > 0) {
				t.Errorf("%d dumps are made whole after this", made.of.ownBuckets.whole)
			}
			if made.of.parted != (len(test.want) > 1) {
				t.Errorf("it is said to be made in parts: %v", made.of.parted)
			}
			slices.Sort(got)
			n := len(got)
			if got = slices.Compact(got); n != len(got) {
				t.Errorf("%d sockets are there twice", n-len(got))
			}
			for _, m := range host.of {
				if _, found := slices.BinarySearch(got, uint64(binary.NativeEndian.Uint32(m.Payload[44:]))); !found {
					t.Fatalf("%d of %d sockets, and one that lives is not among them", n, len(host.of))
				}
			}
		})
	}
}

// A sample is dumped whole, and for a request in parts, which costs two processors. Meanwhile what the datagrams ended with is
// looked up, since a socket has gone lately, and who follows the dump reads each of the others once.
func TestRequestsAreDumpedInParts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	const sockets = 7000
	host := crowdOf(1, 1+sockets)
	kernel := &sockdiagtest.Kernel{Answer: host.answer}
	var ticks atomic.Int64
	clock := func() time.Duration { return time.Duration(ticks.Add(int64(time.Millisecond))) }
	var took time.Duration
	c := New(Options{
		Dumper: sockdiag.New(kernel.Dial, clock, 1), Self: 1, Clock: clock, IDs: model.NewConnectionIDs([16]byte{}),
		Observe: func(d Dump) { took = d.Took },
	})
	defer c.namespaces.close()
	c.namespaces.parts = true
	c.namespaces.ownBuckets = buckets{n: 1 << 18, count: func(at time.Duration) (counts, bool) { return counts{at: at}, true }}
	c.sample(t.Context())
	host.without(1)
	if cost := c.sample(t.Context()); cost != took {
		t.Errorf("a sample costs %v, want %v, which it took", cost, took)
	}
	if want := []string{"whole", "whole"}; !slices.Equal(host.dumps, want) {
		t.Errorf("the samples were dumped as %v, want %v", host.dumps, want)
	}
	host.dumps = nil

	following, err := c.Follow(Want{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan map[uint64]int)
	go func() {
		seen, from := make(map[uint64]int), 0
		defer func() { read <- seen }()
		for {
			snap, ended, err := following.Next(t.Context())
			if err != nil {
				t.Errorf("follow the dump: %v", err)
				return
			}
			for ; from < len(snap.Sockets); from++ {
				seen[snap.Sockets[from].Cookie]++
			}
			if ended {
				return
			}
		}
	}()
	if cost, inPart := c.fly(t.Context(), c.board()); inPart || cost != 2*took {
		t.Errorf("a request costs %v, of a part: %v, want %v of two processors", cost, inPart, 2*took)
	}
	seen := <-read
	following.Close()
	if (&flight{boarded: 3}).hasProcessors() || !(&flight{boarded: 2}).hasProcessors() || (*flight)(nil).hasProcessors() {
		t.Error("two processors are for the dumps of requests that one or two wait for, and for no other")
	}
	slices.Sort(host.dumps)
	if want := []string{"others", "within"}; !slices.Equal(host.dumps, want) {
		t.Errorf("dumped as %v, want %v", host.dumps, want)
	}
	if host.lookUps < sockets/80-2 {
		t.Errorf("%d sockets were looked up, want one for each datagram but the last of each part", host.lookUps)
	}
	for cookie, n := range seen {
		if n != 1 {
			t.Errorf("who follows has read socket %d %d times", cookie, n)
		}
	}
	if len(seen) != sockets-1 {
		t.Errorf("who follows has read %d sockets, want %d", len(seen), sockets-1)
	}
}

// look returns the cookies of a snapshot of all sockets that is made at that time.
func (s *snapshots) look(t *testing.T, at time.Duration, hurry bool) (cookies []uint64) {
	t.Helper()
	var err error
	s.snap.Began = at
	s.h.begin(&s.snap, true, true, nil)
	if s.snap.Sockets, err = s.of.dump(t.Context(), at, s.snap.Sockets[:0], sockdiag.Only{}, hurry, s.h.unsettled, s.h.join); err != nil {
		t.Fatal(err)
	}
	s.h.end(s.of.dumped)
	for _, socket := range s.snap.Sockets {
		cookies = append(cookies, socket.Cookie)
	}
	return cookies
}
