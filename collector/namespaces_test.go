//go:build linux

package collector_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	host "github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/model"
)

// ownRunDir gives this process a /run/netns of its own, where names of
// namespaces can be made that nobody else sees.
func ownRunDir(t *testing.T) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount a /run of this test's own: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/run", unix.MNT_DETACH); err != nil {
			t.Errorf("unmount /run: %v", err)
		}
	})
}

// inNewNamespace calls f on a thread in a new network namespace of that name,
// with loopback up, and returns its inode number.
func inNewNamespace(t *testing.T, name string, f func()) uint32 {
	t.Helper()
	inode := make(chan uint32)
	go func() {
		defer close(inode)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		home, err := netns.Get()
		if err != nil {
			t.Error(err)
			return
		}
		defer home.Close()
		ns, err := netns.NewNamed(name) // it moves the thread there
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		defer func() {
			if err := netns.Set(home); err != nil {
				t.Error(err)
			}
		}()
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Error(err)
			return
		}
		f()
		var stat unix.Stat_t
		if err := unix.Fstat(int(ns), &stat); err != nil {
			t.Error(err)
		}
		inode <- uint32(stat.Ino)
	}()
	return <-inode
}

// deleteNamespace removes a name.
func deleteNamespace(t *testing.T, name string) {
	t.Helper()
	if err := netns.DeleteNamed(name); err != nil {
		t.Error(err)
	}
}

// endpoints are those of a connection that a test opened in a namespace.
type endpoints struct {
	name          string
	local, remote netip.AddrPort
}

// Ten namespaces with the same addresses and ports: each socket is said to be
// in its own, once.
func TestNamespaces(t *testing.T) {
	ownRunDir(t)
	where := make(map[uint32]endpoints)
	for i := range 10 {
		name := fmt.Sprintf("test%d", i)
		var ends endpoints
		inode := inNewNamespace(t, name, func() {
			l, err := net.Listen("tcp4", "127.0.0.1:18080")
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
			c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}}).Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
			ends = endpoints{name, addrOf(c.LocalAddr()), addrOf(c.RemoteAddr())}
		})
		t.Cleanup(func() { deleteNamespace(t, name) })
		where[inode] = ends
	}
	if len(where) != 10 {
		t.Fatalf("%d namespaces, want 10", len(where))
	}
	check := func(snap *model.Snapshot, namespaces map[uint32]endpoints) {
		t.Helper()
		type sighting struct{ outgoing, incoming, listening int }
		got := make(map[uint32]sighting)
		ids := make(map[[16]byte]bool)
		for i := range snap.Sockets {
			s := &snap.Sockets[i]
			ends, ok := where[s.NetNS]
			if !ok {
				continue
			}
			seen := got[s.NetNS]
			switch {
			case s.State == model.Listen:
				seen.listening++
			case s.Local() == ends.local && s.Remote() == ends.remote && !snap.Known[i].Incoming:
				seen.outgoing++
			case s.Local() == ends.remote && s.Remote() == ends.local && snap.Known[i].Incoming:
				seen.incoming++
			default:
				t.Errorf("%s: %v - %v, incoming %v", ends.name, s.Local(), s.Remote(), snap.Known[i].Incoming)
			}
			got[s.NetNS] = seen
			if s.State != model.Listen {
				if ids[snap.Known[i].ID] {
					t.Errorf("%s: a connection_id that another has", ends.name)
				}
				ids[snap.Known[i].ID] = true
			}
			if name := snap.NetNSLabels[s.NetNS]; name != ends.name {
				t.Errorf("namespace %d is called %q, want %q", s.NetNS, name, ends.name)
			}
		}
		if len(got) != len(namespaces) {
			t.Errorf("sockets of %d namespaces, want %d", len(got), len(namespaces))
		}
		for inode := range namespaces {
			if want := (sighting{1, 1, 1}); got[inode] != want {
				t.Errorf("%s: %+v, want %+v", where[inode].name, got[inode], want)
			}
		}
	}
	t.Run("all", func(t *testing.T) {
		check(look(t, startIn(t, collector.NetNS{All: true}), collector.Want{}), where)
	})
	t.Run("self", func(t *testing.T) {
		check(look(t, startIn(t, collector.NetNS{}), collector.Want{}), nil)
	})
	t.Run("one by name", func(t *testing.T) {
		one := make(map[uint32]endpoints)
		for inode, ends := range where {
			if ends.name == "test3" {
				one[inode] = ends
			}
		}
		snap := look(t, startIn(t, collector.NetNS{Name: "test3"}), collector.Want{})
		check(snap, one)
		if len(snap.Sockets) != 3 {
			t.Errorf("%d sockets, want the three of that namespace alone", len(snap.Sockets))
		}
	})
}

// Namespaces that come and go during a thousand requests, of which fifty stay
// until they were collected, leave no descriptor and no thread behind.
func TestNamespacesComeAndGo(t *testing.T) {
	ownRunDir(t)
	c := startIn(t, collector.NetNS{All: true})
	look(t, c, collector.Want{})
	countOf := func(dir string) int {
		entries, err := os.ReadDir(filepath.Join("/proc/self", dir))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	churn := func(rounds, requests int) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		defer func() {
			close(stop)
			<-stopped
		}()
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("gone%d", i)
				inNewNamespace(t, name, func() {})
				deleteNamespace(t, name)
			}
		}()
		for range rounds {
			const atOnce = 10
			unseen := make(map[uint32]bool)
			for i := range atOnce {
				unseen[inNewNamespace(t, fmt.Sprintf("stays%d", i), func() {})] = true
			}
			deadline := time.Now().Add(30 * time.Second)
			for made := 0; made < requests || len(unseen) > 0; made++ {
				snap, release, err := c.Snapshot(t.Context(), collector.Want{Owners: true, Listeners: true}) // the interfaces of each are asked for
				if err != nil {
					t.Fatal(err)
				}
				for inode := range unseen {
					if snap.NetNSLabels[inode] != "" {
						delete(unseen, inode)
					}
				}
				release()
				if len(unseen) > 0 && time.Now().After(deadline) {
					t.Fatalf("%d of %d namespaces were not collected", len(unseen), atOnce)
				}
			}
			for i := range atOnce {
				deleteNamespace(t, fmt.Sprintf("stays%d", i))
			}
		}
	}
	churn(1, 100) // what the runtime keeps for good is there now
	sockets, threads := ownSockets(t), countOf("task")
	others := countOf("fd") - len(sockets)
	churn(5, 200)
	eventually(t, c, "the end of what served the namespaces", func(*model.Snapshot) bool {
		// Those that are there may have all of their sockets now that had one before: for a
		// dump, for a look at one connection, and for the interfaces.
		const each = 3
		there, sockets, in := namespacesThere(t), ownSockets(t), make(map[uint32]int)
		for _, inode := range sockets {
			if in[inode]++; !there[inode] || in[inode] > each {
				return false
			}
		}
		return countOf("fd")-len(sockets) <= others
	})
	// The runtime may keep a few threads more for its own reasons, not one a namespace.
	if got := countOf("task"); got > threads+5 {
		t.Errorf("%d threads, %d before", got, threads)
	}
}

// ownSockets returns the network namespace of each socket that this process has,
// as SIOCGSKNS tells it.
func ownSockets(t *testing.T) (of []uint32) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if fd <= 2 { // it may have been given a socket
			continue
		}
		ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
		if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL) {
			continue // no socket, or closed meanwhile
		}
		if err != nil {
			t.Fatalf("network namespace of descriptor %d: %v", fd, err)
		}
		var stat unix.Stat_t
		err = unix.Fstat(ns, &stat)
		unix.Close(ns)
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, uint32(stat.Ino))
	}
	return of
}

// namespacesThere returns the network namespaces that are there.
func namespacesThere(t *testing.T) map[uint32]bool {
	t.Helper()
	list, err := host.List("/proc", host.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[uint32]bool)
	for _, ns := range list {
		there[ns.Inode] = true
	}
	return there
}

func TestNamespaceThatIsNotThere(t *testing.T) {
	ownRunDir(t)
	snap := look(t, startIn(t, collector.NetNS{Name: "nowhere"}), collector.Want{})
	if len(snap.Sockets) != 0 {
		t.Errorf("%d sockets of a namespace that there is not", len(snap.Sockets))
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/run/netns/stale", nil, 0o600); err != nil { // a name without its namespace
		t.Fatal(err)
	}
	look(t, startIn(t, collector.NetNS{All: true}), collector.Want{})
}

// A namespace that has two names is found by each.
func TestNamespaceByItsOtherName(t *testing.T) {
	ownRunDir(t)
	var listener net.Listener
	inNewNamespace(t, "one", func() {
		var err error
		if listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			t.Error(err)
		}
	})
	defer listener.Close()
	defer deleteNamespace(t, "one")
	const other = "/run/netns/other"
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/run/netns/one", other, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer deleteNamespace(t, "other")
	for _, name := range []string{"one", "other"} {
		snap := look(t, startIn(t, collector.NetNS{Name: name}), collector.Want{})
		if len(snap.Sockets) != 1 {
			t.Fatalf("%s: %d sockets, want the one that listens there", name, len(snap.Sockets))
		}
		if got := snap.NetNSLabels[snap.Sockets[0].NetNS]; got != name {
			t.Errorf("%s: it is called %q", name, got)
		}
	}
}
