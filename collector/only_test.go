//go:build linux

package collector_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// The kernel gives the connections that a filter selects, and of what listens as much as tells who opened them.
func TestFollowOnlySome(t *testing.T) {
	c := start(t)
	first, second := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp", "[::]:0")
	pairs := []pair{
		connect(t, first, "tcp4", "127.0.0.1"), connect(t, second, "tcp4", "127.0.0.1"), connect(t, second, "tcp6", "::1"),
	}
	if err := pairs[2].opener.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	firstPort, secondPort := addrOf(first.Addr()).Port(), addrOf(second.Addr()).Port()
	openerPort := addrOf(pairs[0].opener.LocalAddr()).Port()
	for _, test := range []struct {
		name   string
		filter model.Filter
		want   int
		few    bool // listeners on another local port are left out
	}{
		{"a local port", model.Filter{LocalPorts: []uint16{firstPort}}, 1, true},
		{"two local ports", model.Filter{LocalPorts: []uint16{firstPort, secondPort}}, 3, false},
		{"many local ports", model.Filter{LocalPorts: append(slices.Repeat([]uint16{1}, 255), secondPort)}, 2, false},
		{"a remote port", model.Filter{RemotePorts: []uint16{openerPort}}, 1, false},
		{"both", model.Filter{LocalPorts: []uint16{firstPort}, RemotePorts: []uint16{openerPort}}, 1, false},
		{"both, of which one is another's", model.Filter{LocalPorts: []uint16{secondPort}, RemotePorts: []uint16{openerPort}}, 0, false},
		{"IPv4, also of an IPv6 socket", model.Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, 4, false},
		{"IPv6", model.Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("::1/128")}}, 2, false},
		{"IPv6 or IPv4", model.Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.1/32")}}, 6, false},
		{"a state", model.Filter{States: model.States(model.CloseWait)}, 1, false},
		{"a state and a port", model.Filter{States: model.States(model.Established), LocalPorts: []uint16{secondPort}}, 1, true},
		{"nobody", model.Filter{LocalPorts: []uint16{9}}, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			following, err := c.Follow(collector.Want{}, &test.filter)
			if err != nil {
				t.Fatal(err)
			}
			defer following.Close()
			snap, err := following.All(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			listeners, connections := 0, 0
			ours := func(port uint16) bool { return port == firstPort || port == secondPort }
			for i := range snap.Sockets {
				switch {
				case !ours(snap.Sockets[i].LocalPort) && !ours(snap.Sockets[i].RemotePort): // what other tests left behind
				case snap.Sockets[i].State == model.Listen:
					listeners++
				case !test.filter.Match(snap, i):
					t.Errorf("%v - %v, %v was not asked for", snap.Local(i), snap.Remote(i), snap.Sockets[i].State)
				default:
					connections++
					if snap.Known[i].ID == [16]byte{} || snap.Known[i].Incoming != ours(snap.Sockets[i].LocalPort) {
						t.Errorf("%v - %v is not joined, or incoming is %v", snap.Local(i), snap.Remote(i), snap.Known[i].Incoming)
					}
				}
			}
			wantListeners := 2
			if test.few {
				wantListeners = 0
				for _, port := range test.filter.LocalPorts {
					if ours(port) {
						wantListeners++
					}
				}
			}
			if listeners != wantListeners || connections != test.want {
				t.Errorf("%d listeners and %d connections, want %d and %d", listeners, connections, wantListeners, test.want)
			}
		})
	}
}

// A look at some makes nothing of the others: neither are they forgotten, nor new at the next look at all.
func TestFollowOnlySomeKeepsTheHistory(t *testing.T) {
	c := start(t)
	l := listen(t, "tcp4", "127.0.0.1:0")
	var ids [2][]string
	var openers []net.Conn
	for range 5 {
		openers = append(openers, connect(t, l, "tcp4", "127.0.0.1").opener)
	}
	whole := func() (list []string) {
		snap := look(t, c, collector.Want{})
		for i := range snap.Sockets {
			if snap.Sockets[i].State == model.Established {
				list = append(list, fmt.Sprintf("%x %v %v", snap.Known[i].ID, snap.Known[i].AgeExact, snap.Known[i].Incoming))
			}
		}
		slices.Sort(list)
		return list
	}
	ids[0] = whole()
	for range 3 {
		following, err := c.Follow(collector.Want{}, &model.Filter{LocalPorts: []uint16{addrOf(openers[0].LocalAddr()).Port()}})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := following.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		local, remote := addrOf(openers[0].LocalAddr()), addrOf(openers[0].RemoteAddr())
		i := find(t, snap, local, remote)
		if id := fmt.Sprintf("%x ", snap.Known[i].ID); !slices.ContainsFunc(ids[0], func(s string) bool { return strings.HasPrefix(s, id) }) {
			t.Errorf("connection_id %s, want one of %v", id, ids[0])
		}
		following.Close()
	}
	if ids[1] = whole(); !slices.Equal(ids[0], ids[1]) || len(ids[0]) != 10 {
		t.Errorf("then %v, now %v", ids[0], ids[1])
	}
}

// A kernel that does not know the bytecode gives all connections, once.
func TestFollowOnlySomeOfAnOldKernel(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(), // the first sample
		sockdiagtest.Sockets(sockdiagtest.Payload(conversation(1, func(s *model.Socket) { s.State = model.Listen }))),
		{sockdiagtest.Refusal(unix.EINVAL)},
		longDump(1),
	}}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		synctest.Wait() // the first sample is there
		following, err := c.Follow(collector.Want{}, &model.Filter{LocalPorts: []uint16{18080, 18081}})
		if err != nil {
			t.Fatal(err)
		}
		defer following.Close()
		snap, err := following.All(ctx)
		if err != nil || len(snap.Sockets) != 101 {
			t.Errorf("%d sockets, error %v, want a listener and 100 connections", len(snap.Sockets), err)
		}
	})
}
