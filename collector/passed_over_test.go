//go:build linux

package collector

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// A dump of a namespace that has more sockets than half its buckets can pass one
// over where others are closed meanwhile. If any may have been, a second dump
// is made and has it; if none were, there is nothing to be made good.
func TestPassedOver(t *testing.T) {
	all := sockdiag.Only{}
	part := sockdiag.NewOnly(&model.Filter{LocalPorts: []uint16{18080}})
	for _, test := range []struct {
		name string
		// earlier are dumps of all before, then what the first and the second dump have.
		earlier       [][]uint64
		first, second []uint64
		only          sockdiag.Only
		buckets       int
		want          []uint64
	}{
		{"one has come", [][]uint64{{1, 2, 3}}, []uint64{1, 2, 3, 4}, []uint64{1, 2, 3, 4, 5}, all, 4, []uint64{1, 2, 3, 4, 5}},
		{"one has come and one has gone", [][]uint64{{1, 2, 3, 4}}, []uint64{1, 2, 5}, []uint64{1, 2, 4, 5}, all, 4, []uint64{1, 2, 5, 4}},
		{"one has gone", [][]uint64{{1, 2, 3, 4}}, []uint64{1, 2, 3}, []uint64{1, 2, 3, 4}, all, 4, []uint64{1, 2, 3, 4}},
		{"one had gone before", [][]uint64{{1, 2, 3, 4}, {1, 2, 3}}, []uint64{1, 2, 3}, []uint64{1, 2, 3, 4}, all, 4, []uint64{1, 2, 3, 4}},
		{"a part", [][]uint64{{1, 2, 3}}, []uint64{1, 2, 3}, []uint64{2, 3, 4}, part, 4, []uint64{1, 2, 3, 4}},
		{"none has come or gone", [][]uint64{{1, 2, 3}}, []uint64{1, 2, 3}, []uint64{9}, all, 4, []uint64{1, 2, 3}},
		{"there are many buckets", [][]uint64{{1, 2, 3}}, []uint64{1, 2, 4}, []uint64{9}, all, 8, []uint64{1, 2, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var kernel sockdiagtest.Kernel
			clock := func() time.Duration { return time.Hour }
			n := newNamespaces(NetNS{}, 1, sockdiag.New(kernel.Dial, clock, 1))
			defer n.close()
			n.ownBuckets = buckets{n: test.buckets}
			h := newHistory(model.NewConnectionIDs([16]byte{}))
			snap := new(model.Snapshot)
			dump := func(only sockdiag.Only) {
				t.Helper()
				var err error
				h.begin(snap, only.All(), nil)
				if snap.Sockets, err = n.dump(t.Context(), clock(), snap.Sockets[:0], only, h.unsettled, h.join); err != nil {
					t.Fatal(err)
				}
				if only.All() {
					h.end(n.dumped)
				} else {
					h.endPart()
				}
			}
			for _, cookies := range test.earlier {
				kernel.Show(dumpOf(cookies))
				dump(all)
			}
			kernel.Dumps = slices.Repeat([]sockdiagtest.Dump{nil}, kernel.Begun())
			if !test.only.All() {
				kernel.Dumps = append(kernel.Dumps, sockdiagtest.Sockets()) // of what listens
			}
			kernel.Dumps = append(kernel.Dumps, dumpOf(test.first), dumpOf(test.second))
			dump(test.only)
			var got []uint64
			for _, s := range snap.Sockets {
				got = append(got, s.Cookie)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the cookies (-want +got):\n%s", diff)
			}
		})
	}
}

// dumpOf is a dump of connections with those cookies.
func dumpOf(cookies []uint64) sockdiagtest.Dump {
	var payloads [][]byte
	for _, cookie := range cookies {
		payloads = append(payloads, sockdiagtest.Payload(model.Socket{
			Cookie: cookie, Family: model.IPv4, State: model.Established, InfoLen: 248, LocalPort: 18080, RemotePort: uint16(cookie),
		}))
	}
	return sockdiagtest.Sockets(payloads...)
}
