//go:build linux

package collector

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
)

// crowd is a kernel with connections, each from another remote port, which heeds what it is asked for.
type crowd struct {
	of      []sockdiagtest.Message
	dumps   []string // that were asked for, but those of the sockets that listen
	leaving func()   // is called once a dump was made
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

// A dump is made in two parts where somebody waits for it, there are many sockets, and few of them come and go.
func TestWhichDumpsAreMadeInParts(t *testing.T) {
	const many = 7000
	whole, parts := []string{"whole"}, []string{"others", "within"}
	for name, test := range map[string]struct {
		sockets        int
		buckets        int
		oneProcessor   bool
		onlyOneAtATime bool
		isSample       bool
		came           int // in the second before
		gone           int // before the dump
		goneInIt       int // once the first part was dumped
		want           []string
	}{
		"somebody waits":           {sockets: many, want: parts},
		"a sample":                 {sockets: many, isSample: true, want: whole},
		"few sockets":              {sockets: 5000, want: whole},
		"few buckets":              {sockets: many, buckets: many, want: whole},
		"one processor":            {sockets: many, oneProcessor: true, want: whole},
		"before Linux 6.9":         {sockets: many, onlyOneAtATime: true, want: whole},
		"some have come":           {sockets: many, came: 100, want: parts},
		"many have come":           {sockets: many, came: 101, want: whole},
		"some have gone":           {sockets: many, gone: 100, want: parts},
		"many have gone":           {sockets: many, gone: 101, want: []string{"others", "within", "whole"}},
		"many go while it is made": {sockets: many, goneInIt: 2000, want: []string{"others", "within", "whole"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.oneProcessor {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			} else {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
			}
			if test.buckets == 0 {
				test.buckets = 1 << 18
			}
			host := crowdOf(1, 1+test.sockets)
			kernel := &sockdiagtest.Kernel{Answer: host.answer}
			made := newSnapshots(t, kernel, buckets{n: test.buckets})
			made.of.parts = !test.onlyOneAtATime
			made.look(t, 10*time.Second, false)
			host.of = append(host.of, crowdOf(20000, 20000+test.came).of...)
			made.look(t, 11*time.Second, false)
			host.dumps = nil
			host.without(test.gone)
			host.leaving = func() {
				if len(host.dumps) == 1 { // the first part was made
					host.without(test.goneInIt)
				}
			}
			got := made.look(t, 12*time.Second, !test.isSample)
			slices.Sort(host.dumps[:min(2, len(host.dumps))]) // the parts are asked for in either order
			if diff := cmp.Diff(test.want, host.dumps); diff != "" {
				t.Errorf("the dumps (-want +got):\n%s", diff)
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

// look returns the cookies of a snapshot of all sockets that is made at that time.
func (s *snapshots) look(t *testing.T, at time.Duration, hurry bool) (cookies []uint64) {
	t.Helper()
	var err error
	s.snap.Began = at
	s.h.begin(&s.snap, true, true, nil)
	if s.snap.Sockets, err = s.of.dump(t.Context(), at, s.snap.Sockets[:0], sockdiag.Only{}, hurry, s.h, s.h.join); err != nil {
		t.Fatal(err)
	}
	s.h.end(s.of.dumped)
	for _, socket := range s.snap.Sockets {
		cookies = append(cookies, socket.Cookie)
	}
	return cookies
}
