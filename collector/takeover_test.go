//go:build linux

package collector

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// What was joined ahead is taken over if it is of the same sockets, in whatever order, and else nothing of it.
func TestTakeOver(t *testing.T) {
	socket := func(cookie uint64, change ...func(*model.Socket)) model.Socket {
		s := model.Socket{Cookie: cookie, NetNS: 1, Inode: uint32(10 * cookie), State: model.Established}
		for _, c := range change {
			c(&s)
		}
		return s
	}
	listens := func(s *model.Socket) { s.State = model.Listen }
	ahead := &model.Snapshot{
		Sockets: []model.Socket{socket(1, listens), socket(2)},
		Known: []model.Known{
			{Owner: 1, Container: 0, ForwardsTo: 80},
			{Owner: 0, Container: model.NoContainer},
		},
		Owners:     []model.Owner{{PID: 20}, {PID: 10}},
		Shared:     []model.SharedListener{{Inode: 10, Owner: 0}},
		Containers: []model.Container{{ID: "c"}},
	}
	for _, test := range []struct {
		name    string
		ahead   *model.Snapshot
		sockets []model.Socket
		want    bool
	}{
		{"the same", ahead, []model.Socket{socket(1, listens), socket(2)}, true},
		{"in another order", ahead, []model.Socket{socket(2), socket(1, listens)}, true},
		{"in another state", ahead, []model.Socket{socket(1, listens), socket(2, func(s *model.Socket) { s.State = model.CloseWait })}, true},
		{"one more", ahead, []model.Socket{socket(1, listens), socket(2), socket(3)}, false},
		{"one less", ahead, []model.Socket{socket(1, listens)}, false},
		{"another", ahead, []model.Socket{socket(1, listens), socket(3)}, false},
		{"accepted meanwhile", ahead, []model.Socket{socket(1, listens), socket(2, func(s *model.Socket) { s.Inode = 21 })}, false},
		{"in another namespace", ahead, []model.Socket{socket(1, listens), socket(2, func(s *model.Socket) { s.NetNS = 2 })}, false},
		{"bound anew", ahead, []model.Socket{socket(1, listens, func(s *model.Socket) { s.LocalPort = 9 }), socket(2)}, false},
		{"it listens now", ahead, []model.Socket{socket(1, listens), socket(2, listens)}, false},
		{"nothing was joined ahead", nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			none := model.Known{Age: 5, Owner: model.NoOwner, Container: model.NoContainer}
			snap := &model.Snapshot{Sockets: test.sockets}
			for range test.sockets {
				snap.Known = append(snap.Known, none)
			}
			if got := takeOver(snap, test.ahead); got != test.want {
				t.Fatalf("%v, want %v", got, test.want)
			}
			for i, s := range test.sockets {
				want := none
				if test.want {
					want = model.Known{Age: 5, Owner: 1, Container: 0, ForwardsTo: 80}
					if s.Cookie == 2 {
						want = model.Known{Age: 5, Owner: 0, Container: model.NoContainer}
					}
				}
				if diff := cmp.Diff(want, snap.Known[i]); diff != "" {
					t.Errorf("socket %d (-want +got):\n%s", s.Cookie, diff)
				}
			}
			if (len(snap.Owners) == 2 && len(snap.Shared) == 1 && len(snap.Containers) == 1) != test.want {
				t.Errorf("owners %v, shared %v, containers %v", snap.Owners, snap.Shared, snap.Containers)
			}
		})
	}
}

// The sockets of so many requests are kept, and of none that has very many.
func TestForesee(t *testing.T) {
	c := New(Options{Dumper: sockdiag.New(nil, nil, 1)})
	only := func(port uint16) sockdiag.Only { return sockdiag.NewOnly(&model.Filter{LocalPorts: []uint16{port}}) }
	of := func(n int) *model.Snapshot { return &model.Snapshot{Sockets: make([]model.Socket, n)} }
	kept := func() (ports []uint16) {
		for _, f := range c.foreseen {
			for port := range uint16(100) {
				if f.only == only(port+1) {
					ports = append(ports, port+1)
				}
			}
		}
		return ports
	}
	for port := range uint16(10) {
		c.foresee(only(port+1), of(3))
	}
	if diff := cmp.Diff([]uint16{3, 4, 5, 6, 7, 8, 9, 10}, kept()); diff != "" {
		t.Errorf("after ten (-want +got):\n%s", diff)
	}
	c.foresee(only(4), of(5))
	c.foresee(only(7), of(1025))
	c.foresee(sockdiag.Only{}, of(1))
	if diff := cmp.Diff([]uint16{3, 5, 6, 8, 9, 10, 4}, kept()); diff != "" {
		t.Errorf("asked again, with too many, and for all (-want +got):\n%s", diff)
	}
	last := c.foreseen[len(c.foreseen)-1]
	if len(last.sockets) != 5 || last.steady {
		t.Errorf("%d sockets of the one that was asked for again, steady %v, want 5 that are others than before", len(last.sockets), last.steady)
	}
}
