//go:build linux

package collector_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// Who asks for the same port again and again is told each time what is so then, whether the sockets are those of the time
// before, or others, or have another owner. These are too few to look ahead; TestLookAhead has more.
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

// Who asks for a port is told what program listens there, and where its connections go. The others' are not looked at.
func TestProgramsOfAPort(t *testing.T) {
	c := startWith(t, collector.HostOptions{})
	there, elsewhere := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0")
	at, other := addrOf(there.Addr()).Port(), addrOf(elsewhere.Addr()).Port()
	opened := addrOf(connect(t, there, "tcp4", "127.0.0.1").opener.LocalAddr()).Port()
	keep(t, there)
	keep(t, elsewhere)
	for _, test := range []struct {
		what             string
		filter           *model.Filter
		there, elsewhere bool
	}{
		{"the port of one", &model.Filter{LocalPorts: []uint16{at}}, true, false},
		{"the port of a connection to it", &model.Filter{LocalPorts: []uint16{opened}}, true, false},
		{"the port of the other", &model.Filter{LocalPorts: []uint16{other}}, false, true},
		{"both", &model.Filter{LocalPorts: []uint16{at, other}}, true, true},
		{"all", nil, true, true},
	} {
		following, err := c.Follow(collector.Want{Owners: true, Containers: true, Listeners: true}, test.filter)
		if err != nil {
			t.Fatal(err)
		}
		snap, err := following.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for l, want := range map[*net.TCPListener]bool{there: test.there, elsewhere: test.elsewhere} {
			at := addrOf(l.Addr())
			owner := snap.Owner(find(t, snap, at, netip.AddrPort{}))
			if owner == nil || owner.Name != "cat" || (owner.Command == "cat") != want || (owner.Icon != "") != want {
				t.Errorf("%s: who listens at %s is %+v, and is to be told: %t", test.what, at, owner, want)
			}
		}
		following.Close()
	}
}

// counting is a Finder that counts how it is asked.
type counting struct {
	*owner.Finder
	fails bool
	asked asked
}

type asked struct{ Looks, Some, Remembered int }

func (c *counting) LookSome(ctx context.Context) error {
	c.asked.Looks++
	if c.fails {
		return errors.New("no /proc")
	}
	return c.Finder.LookSome(ctx)
}

func (c *counting) FindSome(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	c.asked.Some++
	return c.Finder.FindSome(ctx, wanted, dst, shared)
}

func (c *counting) FindRemembered(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	c.asked.Remembered++
	return c.Finder.FindRemembered(ctx, wanted, dst, shared)
}

// Among many sockets the owners of a few are looked for during the dump, once these have been the same twice.
func TestLookAhead(t *testing.T) {
	proc := procOf(t, 10007, 10008)
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(41)}}
	loopback := model.Address{NetNS: 1, IP: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	finder := &counting{Finder: owner.NewFinder(proc)}
	runWith(t, kernel, finder, func(ctx context.Context, c *collector.Collector) { // whose first sample has 4,100 sockets
		for _, test := range []struct {
			what    string
			cookies []uint64 // and 10,000 more is the inode; nil: the dump fails
			fails   bool     // the look at the processes does
			want    asked
		}{
			{"at first", []uint64{7}, false, asked{1, 1, 0}},
			{"the same", []uint64{7}, false, asked{1, 1, 0}},
			{"the same again", []uint64{7}, false, asked{1, 0, 1}},
			{"one more", []uint64{7, 8}, false, asked{1, 1, 1}},
			{"the same two", []uint64{7, 8}, false, asked{1, 1, 0}},
			{"the two again", []uint64{8, 7}, false, asked{1, 0, 1}},
			{"the dump fails", nil, false, asked{1, 0, 1}},
			{"the two after that", []uint64{7, 8}, false, asked{1, 0, 1}},
			{"no look", []uint64{7, 8}, true, asked{1, 0, 0}},
			{"a look again", []uint64{7, 8}, false, asked{1, 0, 1}},
			{"another process holds them", []uint64{7, 8}, false, asked{1, 0, 1}},
		} {
			pid := int32(5)
			if test.what == "another process holds them" {
				pid = 6
				if err := os.Rename(filepath.Join(proc, "5"), filepath.Join(proc, "6")); err != nil {
					t.Fatal(err)
				}
			}
			part := sockdiagtest.Dump{sockdiagtest.Refusal(unix.EPERM)}
			if test.cookies != nil {
				var payloads [][]byte
				for _, cookie := range test.cookies {
					payloads = append(payloads, sockdiagtest.Payload(conversation(cookie, func(s *model.Socket) { s.Inode = uint32(10000 + cookie) })))
				}
				part = sockdiagtest.Sockets(payloads...)
			}
			kernel.Dumps = append(slices.Repeat([]sockdiagtest.Dump{nil}, kernel.Begun()), sockdiagtest.Sockets(), part)
			finder.asked, finder.fails = asked{}, test.fails
			following, err := c.Follow(collector.Want{Owners: true, Listeners: true}, &model.Filter{LocalPorts: []uint16{18080}})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := following.All(ctx)
			if (err != nil) != (test.fails || test.cookies == nil) {
				t.Fatalf("%s: error %v", test.what, err)
			}
			if err == nil {
				if got := snap.Bound[loopback]; got != 1 {
					t.Errorf("%s: the loopback address is at interface %d, want 1", test.what, got)
				}
				for i, cookie := range test.cookies {
					if of := snap.Owner(i); snap.Sockets[i].Cookie != cookie || of == nil || of.PID != pid {
						t.Errorf("%s: socket %d is %d, of %v, want %d of process %d", test.what, i, snap.Sockets[i].Cookie, of, cookie, pid)
					}
				}
			}
			following.Close()
			if diff := cmp.Diff(test.want, finder.asked); diff != "" {
				t.Errorf("%s: the finder was asked (-want +got):\n%s", test.what, diff)
			}
		}
	})
}
