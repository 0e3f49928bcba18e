//go:build linux

package sockdiag_test

import (
	"context"
	"encoding/binary"
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

// What a dump in parts asks for, in this order but that the two parts are asked for at the same time.
const (
	ofListeners = "those that listen"
	ofWithin    = "those with a port between two"
	ofOthers    = "the others"
	ofAll       = "all"
)

// asked says what a request asks for: struct nlmsghdr (16), struct inet_diag_req (60, states at 52), and perhaps an
// attribute (4) with its bytecode, whose operations are here INET_DIAG_BC_D_GE (4), INET_DIAG_BC_D_LE (5) and
// INET_DIAG_BC_JMP (1), each with its operand but the last.
func asked(r sockdiag.Request) string {
	const connections, listen = 1 << 1, 1 << 10
	code := r.Bytes[min(16+60+4, len(r.Bytes)):]
	switch states := binary.NativeEndian.Uint32(r.Bytes[16+52:]); {
	case states&connections == 0 && len(code) == 0:
		return ofListeners
	case states&listen != 0 && len(code) == 0:
		return ofAll
	case states&listen == 0 && len(code) == 8+8 && code[0] == 4 && code[8] == 5:
		return ofWithin
	case states&listen == 0 && len(code) == 8+4+8 && code[0] == 5 && code[8] == 1 && code[12] == 4:
		return ofOthers
	default:
		return fmt.Sprintf("something else: %x", r.Bytes)
	}
}

// parted is the Only of all sockets in parts.
var parted = sockdiag.Only{}.Parted(sockdiag.PartingOf([]model.Socket{{RemotePort: 1}, {RemotePort: 2}}))

// shifted is a dump of other sockets.
func shifted(datagrams int, by uint64) sockdiagtest.Dump {
	dump := long(datagrams)
	for i := range dump {
		for j := range dump[i].Messages {
			if m := &dump[i].Messages[j]; m.Type == sockdiagtest.GetSock {
				m.Payload = slices.Clone(m.Payload)
				binary.NativeEndian.PutUint32(m.Payload[44:], binary.NativeEndian.Uint32(m.Payload[44:])+uint32(by))
			}
		}
	}
	return dump
}

// partsKernel answers each request with what it asks for.
func partsKernel(answers map[string]sockdiagtest.Dump) *sockdiagtest.Kernel {
	return &sockdiagtest.Kernel{Answer: func(r sockdiag.Request) sockdiagtest.Dump {
		if answer := answers[asked(r)]; answer != nil {
			return answer
		}
		return sockdiagtest.Dump{sockdiagtest.Refusal(unix.EPERM)}
	}}
}

// A dump in parts has those that listen first, then each connection once, those of each part in order; Join is told of
// each once, by one at a time. It takes a second netlink socket, which is kept.
func TestDumpInParts(t *testing.T) {
	for _, datagrams := range []struct{ within, others int }{{1, 1}, {40, 40}, {40, 1}, {1, 40}, {0, 9}} {
		within := shifted(max(datagrams.within, 1), 1000)
		if datagrams.within == 0 {
			within = sockdiagtest.Sockets()
		}
		k := partsKernel(map[string]sockdiagtest.Dump{ofListeners: long(2), ofWithin: within, ofOthers: shifted(datagrams.others, 2000)})
		d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
		for range 2 {
			var joined heard
			sockets, err := d.Dump(t.Context(), []model.Socket{socket(7)}, parted, joined.join)
			if err != nil {
				t.Fatal(err)
			}
			var got, gotWithin, gotOthers heard
			for _, s := range sockets {
				switch got = append(got, s.Cookie); {
				case s.Cookie > 2000:
					gotOthers = append(gotOthers, s.Cookie-2000)
				case s.Cookie > 1000:
					gotWithin = append(gotWithin, s.Cookie-1000)
				}
			}
			if !slices.Equal(got[:5], heard{7, 1, 2, 3, 4}) {
				t.Errorf("%v: %v, want 7, which was there, and the four that listen first", datagrams, got)
			}
			if !slices.Equal(gotWithin, ascending(2*datagrams.within)) || !slices.Equal(gotOthers, ascending(2*datagrams.others)) {
				t.Errorf("%v: the parts are %v and %v, want each socket once and in order", datagrams, gotWithin, gotOthers)
			}
			if !slices.Equal(joined, got[1:]) {
				t.Errorf("%v: joined %v, want %v", datagrams, joined, got[1:])
			}
		}
		if k.Dialed() != 2 || k.Open() != 2 {
			t.Errorf("%d netlink sockets were opened and %d are open, want the same two for both dumps", k.Dialed(), k.Open())
		}
		if d.Close(); k.Open() != 0 {
			t.Errorf("%d netlink sockets were left open", k.Open())
		}
	}
}

func ascending(n int) (list heard) {
	for i := range n {
		list = append(list, uint64(i+1))
	}
	return list
}

// A fault is found in whichever part it is, the other one is waited for no longer than it speaks, and nothing is left
// running or open.
func TestFaultInAPart(t *testing.T) {
	silent := long(40)[:20] // no NLMSG_DONE
	for name, fault := range faults() {
		for _, in := range []string{ofListeners, ofWithin, ofOthers} {
			for _, at := range []int{0, 5, 11} {
				for otherName, other := range map[string]sockdiagtest.Dump{"long": shifted(40, 1000), "silent": silent} {
					t.Run(fmt.Sprintf("%s at %d of %s, the other is %s", name, at, in, otherName), func(t *testing.T) {
						answers := map[string]sockdiagtest.Dump{ofListeners: long(2), ofWithin: other, ofOthers: other}
						answers[in] = long(12)
						answers[in][at] = fault.datagram
						k := partsKernel(answers)
						got, err := dumpOnly(t, k, parted)
						if !errors.Is(err, fault.want) || len(got) != 0 {
							t.Errorf("%d sockets, error %v, want one that wraps %q", len(got), err, fault.want)
						}
					})
				}
			}
		}
	}
}

// Where a part is interrupted, or its queue was full, all begins anew, and Join is told of all again.
func TestDumpInPartsBeginsAnew(t *testing.T) {
	interrupted := long(12)
	interrupted[3].Messages[0].Flags |= unix.NLM_F_DUMP_INTR
	for name, fault := range map[string]sockdiagtest.Dump{
		"interrupted":  interrupted,
		"a full queue": append(long(12)[:3], sockdiagtest.Datagram{Err: unix.ENOBUFS}),
	} {
		t.Run(name, func(t *testing.T) {
			begun := 0
			k := &sockdiagtest.Kernel{Answer: func(r sockdiag.Request) sockdiagtest.Dump {
				switch asked(r) {
				case ofListeners:
					begun++
					return long(2)
				case ofWithin:
					if begun == 1 {
						return fault
					}
					return shifted(12, 1000)
				default:
					return shifted(12, 2000)
				}
			}}
			d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
			defer d.Close()
			var last heard // of those that Join was told of, since it was told of the first
			join := func(sockets []model.Socket, from int) int {
				last = last[:from]
				return last.join(sockets, from)
			}
			got, err := d.Dump(t.Context(), nil, parted, join)
			if err != nil || begun != 2 || len(got) != 4+2*24 {
				t.Fatalf("%d sockets by %d attempts, error %v, want 52 by two", len(got), begun, err)
			}
			seen := make(map[uint64]bool)
			for i, s := range got {
				if seen[s.Cookie] || last[i] != s.Cookie {
					t.Errorf("socket %d is there twice, or Join was told of %d in its place", s.Cookie, last[i])
				}
				seen[s.Cookie] = true
			}
		})
	}
}

// A kernel that knows no such filter is asked for all in one.
func TestDumpInPartsOfAKernelWithoutFilters(t *testing.T) {
	k := partsKernel(map[string]sockdiagtest.Dump{
		ofListeners: long(2), ofWithin: {sockdiagtest.Refusal(unix.EINVAL)}, ofOthers: {sockdiagtest.Refusal(unix.EINVAL)}, ofAll: long(40),
	})
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	if got, err := d.Dump(t.Context(), nil, parted, nil); err != nil || len(got) != 80 || d.InParts() {
		t.Errorf("%d sockets, in parts: %v, error %v, want 80 in one", len(got), d.InParts(), err)
	}
}

// Where there can be no second netlink socket the first is asked for all.
func TestDumpInPartsWithoutASecondSocket(t *testing.T) {
	k := partsKernel(map[string]sockdiagtest.Dump{ofAll: long(40)})
	d := sockdiag.New(func() (sockdiag.Conn, error) {
		if k.Dialed() == 1 {
			return nil, unix.EMFILE
		}
		return k.Dial()
	}, func() time.Duration { return testTime }, testNetNS)
	if got, err := d.Dump(t.Context(), nil, parted, nil); err != nil || len(got) != 80 || d.InParts() {
		t.Errorf("%d sockets, in parts: %v, error %v, want 80 in one", len(got), d.InParts(), err)
	}
	if d.Close(); k.Open() != 0 {
		t.Errorf("%d netlink sockets were left open", k.Open())
	}
}

// A kernel that falls silent in one part is waited for until the context is done, whichever it is.
func TestDumpInPartsEndsWithItsContext(t *testing.T) {
	for _, in := range []string{ofWithin, ofOthers} {
		answers := map[string]sockdiagtest.Dump{ofListeners: long(2), ofWithin: shifted(40, 1000), ofOthers: shifted(40, 2000)}
		answers[in] = answers[in][:20]
		k := partsKernel(answers)
		why := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
		leave := func(sockets []model.Socket, from int) int {
			if len(sockets) == 4+80+32 { // all but the row that is not full
				cancel(why)
			}
			return len(sockets)
		}
		if got, err := d.Dump(ctx, nil, parted, leave); !errors.Is(err, why) || len(got) != 0 {
			t.Errorf("%d sockets, error %v, want %q", len(got), err, why)
		}
		if n := k.Open(); n != 0 {
			t.Errorf("%d netlink sockets were left open", n)
		}
	}
}
