//go:build linux

package sockdiag_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// long is a dump of that many datagrams of two sockets each, the last of which ends with NLMSG_DONE itself.
func long(datagrams int) sockdiagtest.Dump {
	var dump sockdiagtest.Dump
	for i := range datagrams {
		dump = append(dump, sockdiagtest.Sockets(
			sockdiagtest.Payload(socket(uint64(2*i+1))), sockdiagtest.Payload(socket(uint64(2*i+2))),
		)[0])
	}
	last := &dump[datagrams-1]
	last.Messages = append(last.Messages, sockdiagtest.Done(0).Messages...)
	return dump
}

// heard is the cookies that a Join was told of. It takes nothing out.
type heard []uint64

func (h *heard) join(sockets []model.Socket, from int) int {
	for _, s := range sockets[from:] {
		*h = append(*h, s.Cookie)
	}
	return len(sockets)
}

// A long dump is read ahead of what is parsed; each socket is there once, in order, and Join is told of it once.
func TestLongDump(t *testing.T) {
	for _, datagrams := range []int{1, 2, 3, 4, 10, 40} {
		k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{long(datagrams)}}
		d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
		for range 2 { // the second one uses the buffers of the first
			var joined heard
			got, err := d.Dump(t.Context(), nil, sockdiag.Only{}, joined.join)
			if err != nil {
				t.Fatal(err)
			}
			var cookies, want heard
			for i, s := range got {
				cookies, want = append(cookies, s.Cookie), append(want, uint64(i+1))
			}
			if len(got) != 2*datagrams || !slices.Equal(cookies, want) {
				t.Errorf("%d datagrams: sockets %v, want %d by ascending cookie", datagrams, cookies, 2*datagrams)
			}
			if !slices.Equal(joined, want) {
				t.Errorf("%d datagrams: joined %v, want %v", datagrams, joined, want)
			}
		}
		d.Close()
	}
}

// Of a dump that is begun anew Join is told all, and what it takes out is out.
func TestJoinIsToldOfADumpThatBeginsAnew(t *testing.T) {
	interrupted := slices.Clone(long(3))
	interrupted[2].Messages = slices.Clone(interrupted[2].Messages)
	interrupted[2].Messages[1].Flags |= unix.NLM_F_DUMP_INTR
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{interrupted, {
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(1)), sockdiagtest.Payload(socket(2)), sockdiagtest.Payload(socket(2)))[0],
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(3)), sockdiagtest.Payload(socket(1)))[0],
		sockdiagtest.Done(0),
	}}}
	var joined heard
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	withoutLast := func(sockets []model.Socket, from int) int {
		joined.join(sockets, from)
		return max(from, len(sockets)-1)
	}
	got, err := d.Dump(t.Context(), nil, sockdiag.Only{}, withoutLast)
	if err != nil || len(got) != 3 || got[0].Cookie != 1 || got[1].Cookie != 2 || got[2].Cookie != 3 {
		t.Fatalf("%d sockets, error %v, want 1, 2 and 3", len(got), err)
	}
	if want := (heard{1, 2, 3, 4, 1, 2, 2, 3, 1}); !slices.Equal(joined, want) {
		t.Errorf("joined %v, want %v", joined, want)
	}
}

// fault is a datagram that does not belong in a dump, and what the error says of it.
type fault struct {
	datagram sockdiagtest.Datagram
	want     error
}

func faults() map[string]fault {
	return map[string]fault{
		"receiving fails":            {sockdiagtest.Datagram{Err: unix.EIO}, unix.EIO},
		"refused":                    {sockdiagtest.Refusal(unix.EACCES), unix.EACCES},
		"ends with an errno":         {sockdiagtest.Done(unix.ENOMEM), unix.ENOMEM},
		"truncated":                  {sockdiagtest.Datagram{Messages: long(1)[0].Messages, Cut: 3}, sockdiag.ErrTruncated},
		"empty":                      {sockdiagtest.Datagram{}, sockdiag.ErrTruncated},
		"from another process":       {sockdiagtest.Datagram{Messages: long(1)[0].Messages, From: 7}, sockdiag.ErrForeign},
		"a message of no known type": {sockdiagtest.Datagram{Messages: []sockdiagtest.Message{{Type: 99}}}, sockdiag.ErrForeign},
	}
}

// A fault is found wherever in the dump it is, and nothing is left running or open.
func TestFaultInALongDump(t *testing.T) {
	for at := range 12 {
		for name, fault := range faults() {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				dump := long(12)
				dump[at] = fault.datagram
				got, err := dumpWith(t, dump)
				if !errors.Is(err, fault.want) || len(got) != 0 {
					t.Errorf("%d sockets, error %v, want one that wraps %q", len(got), err, fault.want)
				}
			})
		}
	}
}

func dumpWith(t *testing.T, d sockdiagtest.Dump) ([]model.Socket, error) {
	return dump(t, &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{d}})
}

// A kernel that falls silent in the middle is waited for until the context is done.
func TestLongDumpEndsWithItsContext(t *testing.T) {
	silent := long(40)
	silent[39].Messages = silent[39].Messages[:2] // no NLMSG_DONE
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{silent}}
	why := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	var joined heard
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	leave := func(sockets []model.Socket, from int) int {
		if joined.join(sockets, from); len(joined) == 12 {
			cancel(why)
		}
		return len(sockets)
	}
	if _, err := d.Dump(ctx, nil, sockdiag.Only{}, leave); !errors.Is(err, why) {
		t.Errorf("error %v, want %q", err, why)
	}
	if n := k.Open(); n != 0 {
		t.Errorf("%d netlink sockets were left open", n)
	}
}
