//go:build linux

package owner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

// finder is what a Finder and an Iterator have in common.
type finder interface {
	Look(ctx context.Context) error
	Find(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
}

// some looks for some sockets alone, and for all where that is not enough.
type some struct {
	finder interface {
		finder
		LookSome(ctx context.Context) error
		FindSome(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
	}
}

func (s some) Look(ctx context.Context) error { return s.finder.LookSome(ctx) }

func (s some) Find(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	owners, further, err := s.finder.FindSome(ctx, wanted, dst, shared)
	if errors.Is(err, ErrChanged) {
		wanted.unfind()
		return s.finder.Find(ctx, wanted, dst, shared)
	}
	return owners, further, err
}

// finders are the ways to find owners on this host, new ones at each call. Where BPF cannot be had TestOpenIterator says why.
func finders(t testing.TB) map[string]finder {
	t.Helper()
	all := map[string]finder{"walk": NewFinder("/proc"), "memory": remembering(0), "some": some{remembering(0)}}
	it, err := OpenIterator()
	var unavailable *UnavailableError
	switch {
	case err == nil:
		t.Cleanup(func() {
			if err := it.Close(); err != nil {
				t.Error(err)
			}
		})
		all["BPF"] = it
		few := &Iterator{program: it.program, read: it.read, reader: it.reader}
		if CheckPrivilege() == nil {
			few.some = remembering(0)
		}
		all["some by BPF"] = some{few}
		if it.someByBPF != nil { // Linux 6.1
			alone := &Iterator{program: it.program, read: it.read, reader: it.reader, some: remembering(0)}
			alone.some.held = it.program.ReadOf
			all["some by BPF alone"] = some{alone}
		}
	case !errors.As(err, &unavailable):
		t.Fatal(err)
	}
	return all
}

func eachFinder(t *testing.T, f func(*testing.T, finder)) {
	t.Helper()
	for name, finder := range finders(t) {
		t.Run(name, func(t *testing.T) { f(t, finder) })
	}
}

// remembering is a Finder in whose time no time passes, and which reads that many descriptors again at each look for no other
// reason than their turn. It remembers from the first on.
func remembering(share int) *Finder {
	f := NewFinder("/proc")
	f.minShare = share
	now := time.Now()
	f.clock = func() time.Time { return now }
	return f
}

// look returns the processes that hold each of the sockets, by ascending number, and sees to it that the first is told as such.
func look(t *testing.T, f finder, inodes ...uint32) [][]int32 {
	t.Helper()
	wanted := wantingEvery(inodes...)
	owners, shared, err := f.Find(t.Context(), wanted, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	holders := make([][]int32, len(inodes))
	for i, inode := range inodes {
		if at := wanted.Owner(inode); at != model.NoOwner {
			holders[i] = append(holders[i], owners[at].PID)
		}
		for _, s := range shared {
			if s.Inode == inode {
				holders[i] = append(holders[i], owners[s.Owner].PID)
			}
		}
		if !slices.IsSorted(holders[i]) {
			t.Errorf("socket %d: owners %v, not by their numbers", inode, holders[i])
		}
	}
	return holders
}

// expect holds what a look finds against the processes that are expected to hold each socket, by ascending number.
func expect(t *testing.T, when string, f finder, sockets []uint32, want ...[]int32) {
	t.Helper()
	for _, holders := range want {
		slices.Sort(holders) // the numbers may have begun anew between two starts
	}
	if diff := cmp.Diff(want, look(t, f, sockets...)); diff != "" {
		t.Errorf("%s: processes by socket (-want +got):\n%s", when, diff)
	}
}

// What becomes of a socket that was seen before, and is still looked for.
func TestFollow(t *testing.T) {
	behaviours := map[string]func(*testing.T, finder){
		"closed": func(t *testing.T, f finder) {
			a := start(t, "a", nil)
			fd, s := a.socket()
			expect(t, "open", f, []uint32{s}, []int32{a.pid})
			a.close(fd)
			expect(t, "closed", f, []uint32{s}, nil)
		},
		"another socket in its place": func(t *testing.T, f finder) {
			a := start(t, "a", nil)
			fd, s := a.socket()
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.close(fd)
			again, other := a.socket()
			same(t, fd, again)
			expect(t, "after", f, []uint32{other}, []int32{a.pid})
			expect(t, "after, both looked for", f, []uint32{s, other}, nil, []int32{a.pid})
		},
		"a file in its place": func(t *testing.T, f finder) {
			a := start(t, "a", nil)
			fd, s := a.socket()
			_, other := a.socket()
			expect(t, "before", f, []uint32{s, other}, []int32{a.pid}, []int32{a.pid})
			a.close(fd)
			same(t, fd, a.file())
			expect(t, "after", f, []uint32{other}, []int32{a.pid})
		},
		"a child comes, the parent lets go, the child ends": func(t *testing.T, f finder) {
			file, s := socket(t)
			parent := int32(os.Getpid())
			expect(t, "parent alone", f, []uint32{s}, []int32{parent})
			child := start(t, "child", nil, file)
			expect(t, "both", f, []uint32{s}, []int32{parent, child.pid})
			expect(t, "both still", f, []uint32{s}, []int32{parent, child.pid})
			file.Close()
			expect(t, "child alone", f, []uint32{s}, []int32{child.pid})
			child.end()
			expect(t, "nobody", f, []uint32{s}, nil)
		},
		// As a server does that forks for each connection: it closes what the child has, and accepts the next under the number.
		"the parent lets go and has the next in its place": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.pass(fd)
			b.take()
			a.close(fd)
			again, next := a.socket()
			same(t, fd, again)
			expect(t, "after", f, []uint32{s, next}, []int32{b.pid}, []int32{a.pid})
		},
		"an owner of several leaves": func(t *testing.T, f finder) {
			file, s := socket(t)
			a, b := pair(t, file)
			file.Close()
			expect(t, "both", f, []uint32{s}, []int32{a.pid, b.pid})
			a.end()
			expect(t, "one", f, []uint32{s}, []int32{b.pid})
		},
		"passed on": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.pass(fd)
			b.take()
			expect(t, "passed", f, []uint32{s}, []int32{a.pid, b.pid})
			a.close(fd)
			expect(t, "let go", f, []uint32{s}, []int32{b.pid})
		},
		"passed on between two looks": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.pass(fd)
			b.take()
			a.close(fd)
			expect(t, "after", f, []uint32{s}, []int32{b.pid})
		},
		"passed on to the number of a file": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			file := b.file()
			_, other := b.socket()
			expect(t, "before", f, []uint32{s, other}, []int32{a.pid}, []int32{b.pid})
			a.pass(fd)
			a.close(fd)
			b.close(file)
			same(t, file, b.take())
			expect(t, "after", f, []uint32{s, other}, []int32{b.pid}, []int32{b.pid})
		},
		"passed on to the number of a socket": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			theirs, gone := b.socket()
			expect(t, "before", f, []uint32{s, gone}, []int32{a.pid}, []int32{b.pid})
			a.pass(fd)
			a.close(fd)
			b.close(theirs)
			same(t, theirs, b.take())
			expect(t, "after", f, []uint32{s}, []int32{b.pid})
		},
		"passed on to the number of a socket that lives on": func(t *testing.T, f finder) {
			file, lives := socket(t)
			a, b := pair(t, file)
			fd, s := a.socket()
			file.Close()
			expect(t, "before", f, []uint32{s, lives}, []int32{a.pid}, []int32{a.pid, b.pid})
			a.pass(fd)
			a.close(fd)
			b.close(4)
			same(t, 4, b.take())
			expect(t, "after", f, []uint32{s, lives}, []int32{b.pid}, []int32{a.pid})
		},
		"one of several has a socket in its place": func(t *testing.T, f finder) {
			file, s := socket(t)
			a, b := pair(t, file)
			file.Close()
			expect(t, "before", f, []uint32{s}, []int32{a.pid, b.pid})
			a.close(4)
			fd, other := a.socket()
			same(t, 4, fd)
			expect(t, "after", f, []uint32{s, other}, []int32{b.pid}, []int32{a.pid})
		},
		"passed on, with a file in its place": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.pass(fd)
			b.take()
			a.close(fd)
			same(t, fd, a.file())
			expect(t, "after", f, []uint32{s}, []int32{b.pid})
		},
		"passed there and back": func(t *testing.T, f finder) {
			a, b := pair(t)
			fd, s := a.socket()
			for range 3 {
				expect(t, "there", f, []uint32{s}, []int32{a.pid})
				a.pass(fd)
				theirs := b.take()
				a.close(fd)
				expect(t, "and back", f, []uint32{s}, []int32{b.pid})
				b.pass(theirs)
				fd = a.take()
				b.close(theirs)
			}
		},
		"two descriptors of one process": func(t *testing.T, f finder) {
			a := start(t, "a", nil)
			fd, s := a.socket()
			expect(t, "one", f, []uint32{s}, []int32{a.pid})
			a.tell(fmt.Sprint("dup ", fd))
			expect(t, "two", f, []uint32{s}, []int32{a.pid})
			a.close(fd)
			expect(t, "the other", f, []uint32{s}, []int32{a.pid})
		},
		"not looked for in between": func(t *testing.T, f finder) {
			a := start(t, "a", nil)
			_, s := a.socket()
			_, other := a.socket()
			expect(t, "both", f, []uint32{s, other}, []int32{a.pid}, []int32{a.pid})
			expect(t, "the other", f, []uint32{other}, []int32{a.pid})
			expect(t, "both again", f, []uint32{s, other}, []int32{a.pid}, []int32{a.pid})
		},
	}
	// Not everybody may choose a number, nor every kernel has that.
	if last, err := os.ReadFile(lastPID); err == nil && os.WriteFile(lastPID, last, 0) == nil {
		behaviours["another process under the number"] = func(t *testing.T, f finder) {
			a, _ := pair(t)
			fd, s := a.socket()
			a.move(fd, 100)
			expect(t, "before", f, []uint32{s}, []int32{a.pid})
			a.pass(100) // and nobody takes it, so that it lives on
			a.end()
			next := startAs(t, a.pid, "next")
			fd, other := next.socket()
			next.move(fd, 100)
			expect(t, "after", f, []uint32{s, other}, nil, []int32{next.pid})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(behaviours)) {
		t.Run(name, func(t *testing.T) { eachFinder(t, behaviours[name]) })
	}
}

// same says that a test rests on the kernel's using a number again.
func same(t *testing.T, want, got int) {
	t.Helper()
	if got != want {
		t.Fatalf("descriptor %d, want %d used again", got, want)
	}
}

// lastPID is the number after which the kernel looks for one for a new process. TestFinderInheritsNothing does for those who
// may not set it.
const lastPID = "/proc/sys/kernel/ns_last_pid"

// startAs starts a process with that number.
func startAs(t *testing.T, pid int32, name string, files ...*os.File) *holder {
	t.Helper()
	for range 100 {
		if err := os.WriteFile(lastPID, []byte(fmt.Sprint(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		h := start(t, name, nil, files...)
		if h.pid == pid {
			return h
		}
		h.end() // somebody else was faster
	}
	t.Fatalf("process number %d is not to be had", pid)
	return nil
}

// Whatever ends while a look goes on, those that stay are told.
func TestFindWhileProcessesEnd(t *testing.T) {
	eachFinder(t, func(t *testing.T, f finder) {
		stays := start(t, "stays", nil)
		_, s := stays.socket()
		var leave []*holder
		for range 8 {
			h := start(t, "leaves", nil)
			h.socket()
			leave = append(leave, h)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for _, h := range leave {
				h.stdin.Close() // it ends by itself
			}
		}()
		for looks, going := 0, true; going || looks < 3; looks++ {
			select {
			case <-ended:
				going = false
			default:
			}
			expect(t, "meanwhile", f, []uint32{s}, []int32{stays.pid})
		}
	})
}

// A process ends between two reads of its descriptors.
func TestFindOfARealProcessThatLeavesHalfWay(t *testing.T) {
	a, b := start(t, "a", nil), start(t, "b", nil)
	_, s := a.socket()
	_, other := b.socket()
	f := NewFinder("/proc")
	f.readlink = func(dir int, name, buf []byte) (int, error) {
		if f.dir.pid == a.pid {
			a.end()
		}
		return readlinkat(dir, name, buf)
	}
	expect(t, "while it ends", f, []uint32{s, other}, nil, []int32{b.pid})
}

// The descriptors of a thread that has its own are seen by BPF alone.
func TestFindOfAThread(t *testing.T) {
	eachFinder(t, func(t *testing.T, f finder) {
		a := start(t, "a", nil)
		s := a.thread()
		want := []int32{a.pid}
		byIterator := false
		switch f := f.(type) {
		case *Iterator:
			byIterator = true
		case some:
			_, byIterator = f.finder.(*Iterator)
		}
		if !byIterator {
			want = nil
		}
		expect(t, "of a thread", f, []uint32{s}, want)
	})
}

// What was looked at before it was known what is wanted serves one Find: the next looks for itself.
func TestLookAhead(t *testing.T) {
	eachFinder(t, func(t *testing.T, f finder) {
		self := []int32{int32(os.Getpid())}
		_, first := socket(t)
		if err := f.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, second := socket(t)
		if diff := cmp.Diff([][]int32{self, nil}, look(t, f, first, second)); diff != "" {
			t.Errorf("opened before and behind the look (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([][]int32{self, self}, look(t, f, first, second)); diff != "" {
			t.Errorf("at the next look (-want +got):\n%s", diff)
		}
	})
}
