//go:build linux

package collector

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/connectionsd/connectionsd/collector/link"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// Once the sockets of a port have been the same twice, the addresses are looked up during the dump, and not after it.
func TestAddressesAreLookedUpAhead(t *testing.T) {
	const self = 1
	var many sockdiagtest.Dump
	var one []byte
	for cookie := uint64(1); cookie <= shortDump; {
		var datagram [][]byte
		for range 100 {
			one = sockdiagtest.Payload(model.Socket{
				Cookie: cookie, Family: model.IPv4, State: model.Established, LocalPort: 18080, RemotePort: uint16(cookie),
				LocalIP: netip.MustParseAddr("192.0.2.1").As16(), RemoteIP: netip.MustParseAddr("192.0.2.2").As16(),
			})
			datagram = append(datagram, one)
			cookie++
		}
		many = append(many, sockdiagtest.Sockets(datagram...)[0])
	}
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{append(many, sockdiagtest.Done(0))}}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		c := New(Options{
			Dumper: sockdiag.New(kernel.Dial, clock, self), Self: self, Clock: clock,
			IDs: model.NewConnectionIDs([16]byte{}), Owners: owner.NewFinder(t.TempDir()),
		})
		after := 0
		c.namespaces.ownLinks = link.New(func() (*netlink.Handle, error) { after++; return nil, errors.New("too late") })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait() // the first sample is there, and it is of many
		kernel.Dumps = []sockdiagtest.Dump{sockdiagtest.Sockets(one)}
		for request, wantAfter := range []int{1, 2, 2, 2} {
			following, err := c.Follow(Want{Owners: true, Listeners: true}, &model.Filter{LocalPorts: []uint16{18080}})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := following.All(ctx)
			if err != nil {
				t.Fatal(err)
			}
			at, ok := snap.Bound[model.Address{NetNS: self, IP: netip.MustParseAddr("::ffff:127.0.0.1").As16()}]
			if after != wantAfter || ok != (request >= 2) || ok && at != 1 {
				t.Errorf("request %d: asked %d times after the dump, want %d; the loopback address is at interface %d, known: %t", request, after, wantAfter, at, ok)
			}
			following.Close()
		}
	})
}

// Sockets are the same if nothing that a look at the processes goes by has changed.
func TestPlaces(t *testing.T) {
	socket := func(change func(*model.Socket)) model.Socket {
		s := model.Socket{Cookie: 7, NetNS: 1, Inode: 17, CgroupID: 3, State: model.Established, Family: model.IPv4, LocalPort: 18080, RemotePort: 443, RTT: 5}
		change(&s)
		return s
	}
	as := func(*model.Socket) {}
	other := socket(func(s *model.Socket) { s.Cookie = 8 })
	for what, change := range map[string]func(*model.Socket){
		"cookie": func(s *model.Socket) { s.Cookie = 9 }, "namespace": func(s *model.Socket) { s.NetNS = 2 }, "inode": func(s *model.Socket) { s.Inode = 18 },
		"cgroup": func(s *model.Socket) { s.CgroupID = 4 }, "local end": func(s *model.Socket) { s.LocalPort = 1 },
		"remote end": func(s *model.Socket) { s.RemotePort = 444 }, "listens": func(s *model.Socket) { s.State = model.Listen },
	} {
		if _, same := places([]model.Socket{other, socket(change)}, []model.Socket{socket(as), other}); same {
			t.Errorf("%s: another is taken for the same", what)
		}
	}
	for what, change := range map[string]func(*model.Socket){
		"nothing": as, "round trip time": func(s *model.Socket) { s.RTT = 6 }, "state": func(s *model.Socket) { s.State = model.CloseWait },
	} {
		at, same := places([]model.Socket{other, socket(change)}, []model.Socket{socket(as), other})
		if !same || at[0] != 1 || at[1] != 0 {
			t.Errorf("%s: places %v, the same %t", what, at, same)
		}
	}
	if _, same := places([]model.Socket{other}, []model.Socket{socket(as), other}); same {
		t.Error("one of two is taken for both")
	}
}
