//go:build linux

package collector

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/link"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// lookFor returns the namespaces that want says of those that list has.
func lookFor(t *testing.T, want NetNS, self uint32, list func() []netns.Namespace) *namespaces {
	t.Helper()
	n := newNamespaces(want, self, sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, self))
	n.list = func() ([]netns.Namespace, error) { return list(), nil }
	t.Cleanup(n.close)
	return n
}

// The process that a namespace was found by can end before all others in it. What is opened there later is opened by another.
func TestNamespaceThatIsFoundByAnotherProcess(t *testing.T) {
	inode, err := netns.Self()
	if err != nil {
		t.Fatal(err)
	}
	path := "/proc/0/ns/net" // of a process that has ended
	n := lookFor(t, NetNS{All: true}, inode+1, func() []netns.Namespace { return []netns.Namespace{{Inode: inode, Path: path}} })
	if err := n.rescan(0); err != nil {
		t.Fatal(err)
	}
	if name, err := n.links(inode).Name(1); !left(err) {
		t.Errorf("interface %q, error %v, by a process that has ended", name, err)
	}
	path = "/proc/self/ns/net"
	if err := n.rescan(rescanEvery); err != nil {
		t.Fatal(err)
	}
	if name, err := n.links(inode).Name(1); name != "lo" {
		t.Errorf("interface %q, error %v, want lo", name, err)
	}
	if _, err := n.dumper(inode).Dump(t.Context(), nil, sockdiag.OnlyListeners(), nil); err != nil {
		t.Error(err)
	}
}

// A namespace can have several names. It is found by each, and called by the one that it is wanted by, or by the first.
func TestNamespaceOfTwoNames(t *testing.T) {
	list := func() []netns.Namespace {
		return []netns.Namespace{{Inode: 5, Name: "a", Path: "/run/netns/a"}, {Inode: 5, Name: "b", Path: "/run/netns/b"}, {Inode: 6, Name: "c", Path: "/run/netns/c"}}
	}
	for _, test := range []struct {
		want NetNS
		at   map[uint32]string
		name string
	}{
		{NetNS{Name: "a"}, map[uint32]string{5: "a"}, "a"},
		{NetNS{Name: "b"}, map[uint32]string{5: "b"}, "b"},
		{NetNS{All: true}, map[uint32]string{5: "a", 6: "c"}, "a"},
	} {
		n := lookFor(t, test.want, 1, list)
		for round := range time.Duration(2) {
			if err := n.rescan(round * rescanEvery); err != nil {
				t.Fatal(err)
			}
			at := make(map[uint32]string)
			for inode, other := range n.others {
				at[inode] = other.at.Name
			}
			if diff := cmp.Diff(test.at, at); diff != "" {
				t.Errorf("%+v: collected (-want +got):\n%s", test.want, diff)
			}
			if n.names[5] != test.name {
				t.Errorf("%+v: it is called %q, want %q", test.want, n.names[5], test.name)
			}
		}
	}
}

// The files with the counts of another namespace are closed with what else is open there.
func TestCountsOfANamespaceThatHasGone(t *testing.T) {
	inode, err := netns.Self()
	if err != nil {
		t.Fatal(err)
	}
	list := []netns.Namespace{{Inode: inode, Path: "/proc/thread-self/ns/net"}}
	n := lookFor(t, NetNS{All: true}, inode+1, func() []netns.Namespace { return list })
	if err := n.rescan(0); err != nil {
		t.Fatal(err)
	}
	other := n.others[inode]
	if _, ok := other.buckets.count(0); !ok {
		t.Fatal("no counts")
	}
	files := []*os.File{other.counts.of.snmp, other.counts.of.sockstat}
	if other.counts.of.sockstat6 != nil {
		files = append(files, other.counts.of.sockstat6)
	}
	list = nil
	if err := n.rescan(rescanEvery); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s is open, error %v", f.Name(), err)
		}
	}
}

// A namespace has left if its path has. A kernel that cannot dump its sockets says ENOENT too, and is there.
func TestLeft(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("open: %w", &os.PathError{Op: "open", Path: "/proc/1/ns/net", Err: unix.ENOENT}), true},
		{fmt.Errorf("open: %w", &os.PathError{Op: "open", Path: "/proc/1/ns/net", Err: unix.ESRCH}), true},
		{fmt.Errorf("enter: %w", netns.ErrOther), true},
		{&os.PathError{Op: "open", Path: "/proc/1/ns/net", Err: unix.EMFILE}, false},
		{fmt.Errorf("dump: %w", unix.ENOENT), false},
		{fmt.Errorf("dump: %w", unix.ESRCH), false},
	} {
		if got := left(test.err); got != test.want {
			t.Errorf("%v: left %t, want %t", test.err, got, test.want)
		}
	}
}

// An interface that has no name any more is asked for once, however many sockets are bound to it.
func TestInterfaceThatIsGone(t *testing.T) {
	const self, gone = 1, 77
	asked := 0
	c := New(Options{Dumper: sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, self), Self: self, IDs: model.NewConnectionIDs([16]byte{})})
	c.namespaces.ownLinks = link.New(func() (*netlink.Handle, error) { asked++; return nil, errors.New("it is gone") })
	s := model.Socket{Family: model.IPv6, State: model.Established, NetNS: self, Interface: gone, LocalIP: [16]byte{0xfe, 0x80, 15: 1}, RemoteIP: [16]byte{0xfe, 0x80, 15: 2}, LocalPort: 1, RemotePort: 2}
	snap := &model.Snapshot{NetNS: self, Sockets: []model.Socket{s, s, s}}
	c.followZones(snap, snap.Sockets)
	c.joinInterfaces(snap, true, nil)
	if asked != 1 {
		t.Errorf("it was asked for %d times, want once", asked)
	}
	if got, want := snap.Remote(2).String(), "[fe80::2%77]:2"; got != want {
		t.Errorf("the remote end is %s, want %s", got, want)
	}
}

// A snapshot of a scope, or of a dump that failed, is used again for one of all, with room for all.
func TestRoomOfASnapshotThatIsUsedAgain(t *testing.T) {
	c := New(Options{Dumper: sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, 1), IDs: model.NewConnectionIDs([16]byte{})})
	c.latest = 3200
	c.idle = []*model.Snapshot{{Sockets: make([]model.Socket, 0, 20)}}
	if got := c.blank(sockdiag.Only{}); cap(got.Sockets) != 3300 || cap(got.Known) != 3300 {
		t.Errorf("room for %d sockets and what is known of %d, want 3300", cap(got.Sockets), cap(got.Known))
	}
}
