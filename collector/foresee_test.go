//go:build linux

package collector_test

import (
	"net"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/model"
)

// Who asks for the same port again and again is told each time what is so then, whether the sockets are those of the time
// before, or others, or have another owner.
func TestOwnersOfTheSameAgainAndAgain(t *testing.T) {
	for name, open := range map[string]func() (collector.OwnerFinder, func() error, error){
		"proc": func() (collector.OwnerFinder, func() error, error) {
			return owner.NewFinder("/proc"), func() error { return nil }, nil
		},
		"BPF": func() (collector.OwnerFinder, func() error, error) {
			it, err := owner.OpenIterator()
			if err != nil {
				return nil, nil, err
			}
			return it, it.Close, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			finder, closeFinder, err := open()
			if err != nil {
				if os.Getuid() != 0 {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = closeFinder() })
			c := startWith(t, collector.HostOptions{Owners: finder})
			l := listen(t, "tcp4", "127.0.0.1:0")
			port := addrOf(l.Addr()).Port()
			self := int32(os.Getpid())
			ends := func(p pair) string {
				return addrOf(p.opener.RemoteAddr()).String() + " - " + addrOf(p.opener.LocalAddr()).String()
			}
			check := func(what string, want map[string]int32) {
				t.Helper()
				for range 3 { // the first may have seen other sockets the time before, the others have not
					following, err := c.Follow(collector.Want{Owners: true, ListenerOwners: true, Containers: true, Listeners: true}, &model.Filter{LocalPorts: []uint16{port}})
					if err != nil {
						t.Fatal(err)
					}
					snap, err := following.All(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					got := make(map[string]int32)
					for i := range snap.Sockets {
						s := &snap.Sockets[i]
						if s.LocalPort != port {
							continue
						}
						name := s.Local().String() + " - " + s.Remote().String()
						if s.State == model.Listen {
							name = "listener"
						}
						got[name] = 0
						if of := snap.Owner(i); of != nil {
							got[name] = of.PID
							if s.State == model.Listen && of.Icon == "" {
								t.Errorf("%s: it is not told what program listens", what)
							}
						}
					}
					following.Close()
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: the owners (-want +got):\n%s", what, diff)
					}
				}
			}
			check("a listener", map[string]int32{"listener": self})
			first := connect(t, l, "tcp4", "127.0.0.1")
			check("one connection", map[string]int32{"listener": self, ends(first): self})
			second := connect(t, l, "tcp4", "127.0.0.1")
			check("one has come", map[string]int32{"listener": self, ends(first): self, ends(second): self})
			holder := keep(t, first.acceptor)
			check("one was passed on", map[string]int32{"listener": self, ends(first): holder, ends(second): self})
			for _, end := range []net.Conn{second.opener, second.acceptor} {
				if err := end.(*net.TCPConn).SetLinger(0); err != nil {
					t.Fatal(err)
				}
				end.Close()
			}
			third := connect(t, l, "tcp4", "127.0.0.1")
			check("one has gone, one has come", map[string]int32{"listener": self, ends(first): holder, ends(third): self})
			worker := keep(t, l)
			check("the listener was passed on", map[string]int32{"listener": worker, ends(first): holder, ends(third): self})
		})
	}
}
