//go:build linux

package owner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/model"
)

// socket is a TCP socket of this process, as a file, and its inode.
func socket(t *testing.T) (*os.File, uint32) {
	t.Helper()
	fd, inode, err := tcpSocket()
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() { file.Close() })
	return file, inode
}

// self is this process.
func self(t *testing.T) model.Owner {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return own(int32(os.Getpid()), strings.TrimSuffix(string(comm), "\n"))
}

func TestFindReal(t *testing.T) {
	eachFinder(t, func(t *testing.T, f finder) {
		self := self(t)
		_, ours := socket(t)
		shared, both := socket(t)
		passed, theirs := socket(t)
		child := own(start(t, `a "child" \`, nil, shared, passed).pid, `a "child" \`)
		passed.Close()
		closed, nobodys := socket(t)
		closed.Close()

		wanted := wanting(ours, both, theirs, nobodys)
		owners, _, err := f.Find(t.Context(), wanted, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		parent := self
		if child.PID < self.PID { // the numbers have begun anew in between
			parent = child
		}
		got := make(map[string]model.Owner)
		for name, inode := range map[string]uint32{"ours": ours, "both's": both, "theirs": theirs, "nobody's": nobodys} {
			if at := wanted.Owner(inode); at != model.NoOwner {
				got[name] = owners[at]
			}
		}
		want := map[string]model.Owner{"ours": self, "both's": parent, "theirs": child}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("owners by socket (-want +got):\n%s", diff)
		}
		if len(owners) != 2 {
			t.Errorf("%d owners, want each once: %v", len(owners), owners)
		}
	})
}

// More descriptors than one buffer of directory entries has room for.
func TestFindRealWithManyDescriptors(t *testing.T) {
	var inodes []uint32
	for range 50 {
		_, inode := socket(t)
		inodes = append(inodes, inode)
	}
	f := NewFinder("/proc")
	f.dirents = make([]byte, 256)
	wanted := wanting(inodes...)
	owners, err := f.first(t.Context(), wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(owners) != 1 || owners[0].PID != int32(os.Getpid()) {
		t.Errorf("owners %v, want this process alone", owners)
	}
	for inode, at := range wanted.found(slices.Values(inodes)) {
		if at != 0 {
			t.Errorf("inode %d: owner at index %d, want 0", inode, at)
		}
	}
}

// effective is the set of this process's capabilities in the kernel's own words.
func effective(t *testing.T) uint64 {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "\nCapEff:\t")
	var set uint64
	if _, err := fmt.Sscanf(line, "%x\n", &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestCheckPrivilege(t *testing.T) {
	var want []string
	if effective(t)&(1<<19) == 0 {
		want = append(want, "CAP_SYS_PTRACE")
	}
	if effective(t)&(1<<1|1<<2) == 0 {
		want = append(want, "CAP_DAC_READ_SEARCH")
	}
	err := CheckPrivilege()
	if want == nil {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	var missing *capability.MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v, want a *capability.MissingError", err)
	}
	if diff := cmp.Diff(want, missing.Names); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// Nothing is allocated for a socket once the memory is there.
func TestFindAllocates(t *testing.T) {
	const sockets = 1000
	eachFinder(t, func(t *testing.T, f finder) {
		wanted := wanting()
		var owners []model.Owner
		look := func() {
			wanted.unfind()
			var err error
			if owners, _, err = f.Find(t.Context(), wanted, owners[:0], nil); err != nil {
				t.Fatal(err)
			}
		}
		var before, after float64
		_, inode := socket(t)
		wanted.Add(inode, false)
		before = testing.AllocsPerRun(5, look)
		for range sockets {
			_, inode := socket(t)
			wanted.Add(inode, false)
		}
		look()
		after = testing.AllocsPerRun(5, look)
		// Each process costs some, and they come and go.
		if after > before+sockets/4 {
			t.Errorf("%v allocations with one socket, %v with %d more", before, after, sockets)
		}
	})
}

// BenchmarkFind looks for the sockets of this process among every descriptor of this host.
func BenchmarkFind(b *testing.B) {
	for name, f := range finders(b) {
		for _, sockets := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/%d sockets", name, sockets), func(b *testing.B) {
				wanted := wanting()
				for range sockets {
					fd, inode, err := tcpSocket()
					if err != nil {
						b.Fatal(err)
					}
					defer unix.Close(fd)
					wanted.Add(inode, false)
				}
				b.ReportAllocs()
				var owners []model.Owner
				for b.Loop() {
					wanted.unfind()
					var err error
					if owners, _, err = f.Find(context.Background(), wanted, owners[:0], nil); err != nil {
						b.Fatal(err)
					}
				}
				if len(owners) != 1 {
					b.Fatalf("owners %v, want this process", owners)
				}
			})
		}
	}
}
