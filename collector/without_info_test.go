//go:build linux

package collector_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// Who needs no counters is told the same of many sockets as others are: which there are, whose they are, who
// opened them, and in which state they are. Of the sockets that are known the kernel is not asked for its counters.
func TestWithoutInfo(t *testing.T) {
	const known = 2 * 2100
	c := start(t)
	pairs(t, known/2)
	l := listen(t, "tcp6", "[::1]:0")
	early := connect(t, l, "tcp6", "::1")
	send(t, early.opener, early.acceptor, 1000)

	// What is told of a socket, without its counters and times.
	type told struct {
		ID            [16]byte
		Family        model.Family
		State         model.TCPState
		Incoming      bool
		Owner         string
		Inode, UID    uint32
		CgroupID      uint64
		NetNS         uint32
		V6Only        bool
		Interface     uint32
		RecvQ, SendQ  uint32
		Local, Remote netip.AddrPort
	}
	all := func(want collector.Want) (sockets map[uint64]told, withInfo int) {
		t.Helper()
		snap, release, err := c.Snapshot(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		defer release() // the next one has its memory
		sockets = make(map[uint64]told)
		for i := range snap.Sockets {
			s, k := &snap.Sockets[i], &snap.Known[i]
			if s.State != model.Listen && s.State != model.Established {
				continue // what other tests have closed
			}
			of := told{
				ID: k.ID, Family: s.Family, State: s.State, Incoming: k.Incoming, Inode: s.Inode, UID: s.UID, CgroupID: s.CgroupID, NetNS: s.NetNS,
				V6Only: s.V6Only, Interface: s.Interface, RecvQ: s.RecvQueue, SendQ: s.SendQueue, Local: s.Local(), Remote: s.Remote(),
			}
			if o := snap.Owner(i); o != nil {
				of.Owner = o.Name
			}
			sockets[s.Cookie] = of
			if s.State.IsConnection() && s.InfoLen > 0 {
				withInfo++
			}
		}
		return sockets, withInfo
	}
	all(collector.Want{})
	all(collector.Want{}) // the directions are certain now
	with, n := all(collector.Want{Owners: true})
	if n != known+2 {
		t.Errorf("the counters of %d connections, want of all %d", n, known+2)
	}
	without, n := all(collector.Want{Owners: true, NoInfo: true})
	for deadline := time.Now().Add(10 * time.Second); n > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		without, n = all(collector.Want{Owners: true, NoInfo: true}) // of those that were acknowledging it is not certain yet
	}
	if n != 0 {
		t.Errorf("the counters of %d connections, want of none", n)
	}
	if diff := cmp.Diff(with, without, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("without counters (-with +without):\n%s", diff)
	}

	// One that has come since is told as it is too, and remembered with what its counters say.
	late := connect(t, l, "tcp6", "::1")
	send(t, late.acceptor, late.opener, 3000)
	snap := look(t, c, collector.Want{NoInfo: true})
	for name, end := range map[string]struct {
		ends     func() (netip.AddrPort, netip.AddrPort)
		incoming bool
	}{"opener": {late.openerEnds, false}, "acceptor": {late.acceptorEnds, true}} {
		local, remote := end.ends()
		if got := snap.Known[find(t, snap, local, remote)].Incoming; got != end.incoming {
			t.Errorf("the %s: incoming %v, want %v", name, got, end.incoming)
		}
		whole := look(t, c, collector.Want{})
		i := find(t, whole, local, remote)
		if k := &whole.Known[i]; k.Incoming != end.incoming || k.Age > 10*time.Second {
			t.Errorf("the %s, with its counters: incoming %v, age %v, want %v and an age of a moment", name, k.Incoming, k.Age, end.incoming)
		}
		if name == "opener" && whole.Sockets[i].RecvCount() != 3000 {
			t.Errorf("the opener has received %d bytes, want 3000", whole.Sockets[i].RecvCount())
		}
	}
}

// extensions notes what each dump is asked for beside the sockets: idiag_ext of struct inet_diag_req.
type extensions struct {
	mu    sync.Mutex
	asked []byte
	slow  bool // a dump takes a second
}

type noting struct {
	sockdiag.Conn
	of *extensions
}

func (n noting) Send(r sockdiag.Request) error {
	n.of.mu.Lock()
	n.of.asked = append(n.of.asked, r.Bytes[unix.SizeofNlMsghdr+3])
	slow := n.of.slow
	n.of.mu.Unlock()
	if slow {
		time.Sleep(time.Second)
	}
	return n.Conn.Send(r)
}

// soFar returns what was asked for until now, and lets the dumps that come be slow.
func (e *extensions) soFar(slow bool) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.slow = slow
	return slices.Clone(e.asked)
}

// tcp_info is asked for unless nobody needs it who shares the dump, and where there are few sockets.
func TestWhenInfoIsAskedFor(t *testing.T) {
	const info, nothing = 1 << (2 - 1), 0 // INET_DIAG_INFO is 2
	for _, test := range []struct {
		name      string
		datagrams int // of 100 connections each
		wants     []collector.Want
		filter    *model.Filter
		asked     byte
	}{
		{name: "many sockets", datagrams: 41, wants: []collector.Want{{NoInfo: true}}, asked: nothing},
		{name: "two who do not need it", datagrams: 41, wants: []collector.Want{{NoInfo: true}, {NoInfo: true, Owners: true}}, asked: nothing},
		{name: "one of two needs it, the second", datagrams: 41, wants: []collector.Want{{NoInfo: true}, {}}, asked: info},
		{name: "one of two needs it, the first", datagrams: 41, wants: []collector.Want{{}, {NoInfo: true}}, asked: info},
		{name: "few sockets", datagrams: 40, wants: []collector.Want{{NoInfo: true}}, asked: info},
		{name: "some of many", datagrams: 41, wants: []collector.Want{{NoInfo: true}}, filter: &model.Filter{LocalPorts: []uint16{18080}}, asked: info},
	} {
		t.Run(test.name, func(t *testing.T) {
			kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(test.datagrams)}}
			asked := new(extensions)
			dial := func() (sockdiag.Conn, error) {
				conn, err := kernel.Dial()
				return noting{conn, asked}, err
			}
			run(t, dial, nil, func(ctx context.Context, stop func(), c *collector.Collector) {
				time.Sleep(3 * time.Second) // samples: all directions are certain
				synctest.Wait()
				if samples := asked.soFar(true); slices.Contains(samples, nothing) || len(samples) < 3 {
					t.Errorf("the samples asked for %v, want all of them for %d", samples, info)
				}
				busy(t, c) // so that who asks now shares the dump that comes next
				before := len(asked.soFar(false))
				var all []*collector.Following
				for _, want := range test.wants {
					following, err := c.Follow(want, test.filter)
					if err != nil {
						t.Fatal(err)
					}
					defer following.Close()
					all = append(all, following)
				}
				for _, following := range all {
					snap, err := following.All(ctx)
					if err != nil || len(snap.Sockets) != 100*test.datagrams {
						t.Fatalf("%d sockets, error %v, want %d", len(snap.Sockets), err, 100*test.datagrams)
					}
				}
				// Of some of the sockets those that listen come by themselves, and where there are few buckets it is asked for twice.
				got := asked.soFar(false)[before:]
				if len(got) == 0 || test.filter == nil && len(got) > 1 || slices.ContainsFunc(got, func(b byte) bool { return b != test.asked }) {
					t.Errorf("the requests asked for %v, want for %d", got, test.asked)
				}
			})
		})
	}
}
