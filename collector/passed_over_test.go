//go:build linux

package collector

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// A dump of a namespace that has more sockets than half its buckets can pass one
// over where others are closed meanwhile. If any may have been, further dumps are
// made and have it; if none were, there is nothing to be made good.
func TestPassedOver(t *testing.T) {
	type dumps = []sockdiagtest.Dump
	whole, part := sockdiag.Only{}, sockdiag.NewOnly(&model.Filter{LocalPorts: []uint16{18080}})
	listener, none := listenerOf(99), dumpOf()
	for _, test := range []struct {
		name    string
		buckets int
		earlier dumps // of all, one for each snapshot; what follows a nil is a snapshot of a part
		only    sockdiag.Only
		dumps   dumps // for the last snapshot; what is there beyond want is never made
		want    []uint64
	}{
		{"one has come", 4, dumps{dumpOf(1, 2, 3)}, whole, dumps{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3, 4, 5)}, []uint64{1, 2, 3, 4, 5}},
		{"one has come and one has gone", 4, dumps{dumpOf(1, 2, 3, 4)}, whole, dumps{dumpOf(1, 2, 5), dumpOf(1, 2, 4, 5)}, []uint64{1, 2, 5, 4}},
		{"one has gone", 4, dumps{dumpOf(1, 2, 3, 4)}, whole, dumps{dumpOf(1, 2, 3), dumpOf(1, 2, 3, 4)}, []uint64{1, 2, 3, 4}},
		{"one had gone before", 4, dumps{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3)}, whole, dumps{dumpOf(1, 2, 3), dumpOf(1, 2, 3, 4)}, []uint64{1, 2, 3, 4}},
		{"one has come with a part", 4, dumps{dumpOf(1, 2, 3), nil, dumpOf(4)}, whole, dumps{dumpOf(1, 2, 4), dumpOf(1, 2, 3, 4)}, []uint64{1, 2, 4, 3}},
		{
			"one has gone, and a listener has come", 4,
			dumps{dumpOf(1, 2, 3, 4)},
			whole,
			dumps{slices.Concat(listener[:1], dumpOf(1, 2, 3)), dumpOf(1, 2, 3, 4)},
			[]uint64{99, 1, 2, 3, 4},
		},
		{"a part", 4, dumps{dumpOf(1, 2, 3)}, part, dumps{none, dumpOf(1, 2, 3), dumpOf(2, 3, 4)}, []uint64{1, 2, 3, 4}},
		{"none has come or gone", 4, dumps{dumpOf(1, 2, 3)}, whole, dumps{dumpOf(1, 2, 3), dumpOf(9)}, []uint64{1, 2, 3}},
		{"there are many buckets", 8, dumps{dumpOf(1, 2, 3)}, whole, dumps{dumpOf(1, 2, 4), dumpOf(9)}, []uint64{1, 2, 4}},
		{
			"there are many sockets in a bucket", 1,
			dumps{dumpOf(1)},
			whole,
			dumps{dumpOf(1, 2, 3, 4, 5, 6, 7, 8, 9), dumpOf(10), dumpOf(11), dumpOf(12), dumpOf(13)},
			[]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		},
		{
			"a further dump is broken off, and made again", 4,
			dumps{dumpOf(1, 2, 3)},
			whole,
			dumps{slices.Concat(listener[:1], dumpOf(1, 2, 4)), brokenOff(1, 2, 4, 5), slices.Concat(listener[:1], dumpOf(1, 2, 3, 4, 6))},
			[]uint64{99, 1, 2, 4, 3, 6},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var kernel sockdiagtest.Kernel
			made := newSnapshots(t, &kernel, buckets{n: test.buckets})
			dump := func(only sockdiag.Only, of ...sockdiagtest.Dump) []uint64 {
				t.Helper()
				kernel.Dumps = append(slices.Repeat(dumps{nil}, kernel.Begun()), of...)
				return made.cookies(t, only)
			}
			ofPart := false
			for _, of := range test.earlier {
				switch {
				case of == nil:
					ofPart = true
				case ofPart:
					dump(part, none, of)
				default:
					dump(whole, of)
				}
			}
			got := dump(test.only, test.dumps...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the cookies (-want +got):\n%s", diff)
			}
		})
	}
}

// snapshots makes some, one after the other.
type snapshots struct {
	of   *namespaces
	h    *history
	snap model.Snapshot
}

func newSnapshots(t *testing.T, kernel *sockdiagtest.Kernel, has buckets) *snapshots {
	s := &snapshots{
		of: newNamespaces(NetNS{}, 1, sockdiag.New(kernel.Dial, func() time.Duration { return time.Hour }, 1)),
		h:  newHistory(model.NewConnectionIDs([16]byte{})),
	}
	has.count = s.of.ownBuckets.count
	s.of.ownBuckets = has
	t.Cleanup(s.of.close)
	return s
}

// cookies are those of a snapshot of what only says.
func (s *snapshots) cookies(t *testing.T, only sockdiag.Only) (cookies []uint64) {
	t.Helper()
	var err error
	s.h.begin(&s.snap, only.All(), only.HasInfo(), nil)
	if s.snap.Sockets, err = s.of.dump(t.Context(), time.Hour, s.snap.Sockets[:0], only, false, s.h.unsettled, s.h.join); err != nil {
		t.Fatal(err)
	}
	if only.All() {
		s.h.end(s.of.dumped)
	} else {
		s.h.endPart()
	}
	for _, socket := range s.snap.Sockets {
		cookies = append(cookies, socket.Cookie)
	}
	return cookies
}

// dumpOf is a dump of connections with those cookies.
func dumpOf(cookies ...uint64) sockdiagtest.Dump {
	var payloads [][]byte
	for _, cookie := range cookies {
		payloads = append(payloads, sockdiagtest.Payload(model.Socket{
			Cookie: cookie, Family: model.IPv4, State: model.Established, InfoLen: 248, LocalPort: 18080, RemotePort: uint16(cookie),
		}))
	}
	return sockdiagtest.Sockets(payloads...)
}

// listenerOf is a dump of one that listens.
func listenerOf(cookie uint64) sockdiagtest.Dump {
	return sockdiagtest.Sockets(sockdiagtest.Payload(model.Socket{Cookie: cookie, Family: model.IPv4, State: model.Listen, LocalPort: 18080}))
}

// brokenOff is a dump of connections that loses messages at the end.
func brokenOff(cookies ...uint64) sockdiagtest.Dump {
	return sockdiagtest.Dump{dumpOf(cookies...)[0], {Err: unix.ENOBUFS}}
}
