//go:build linux

package owner

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// findSome returns the first owner of each socket, 0 for none.
func findSome(t *testing.T, f *Finder, inodes ...uint32) ([]int32, error) {
	t.Helper()
	wanted := wanting(inodes...)
	owners, _, err := f.FindSome(t.Context(), wanted, nil, nil)
	var pids []int32
	for _, inode := range inodes {
		pid := int32(0)
		if at := wanted.Owner(inode); at != model.NoOwner && err == nil {
			pid = owners[at].PID
		}
		pids = append(pids, pid)
	}
	return pids, err
}

func expectSome(t *testing.T, when string, f *Finder, inodes []uint32, want ...int32) {
	t.Helper()
	got, err := findSome(t, f, inodes...)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: error %v, processes (-want +got):\n%s", when, err, diff)
	}
}

// To find some, only they are read again, and the others are still remembered.
func TestFindSomeReadsOnlyThose(t *testing.T) {
	h, fds, inodes, _ := holding(t, 5)
	f := remembering(0)
	all := slices.Repeat([][]int32{{h.pid}}, 5)
	expect(t, "all", f, inodes, all...)
	read := reads(f, h.pid)
	expectSome(t, "two", f, inodes[1:3], h.pid, h.pid)
	expectReads(t, "two", read(), fds[1:3])
	expect(t, "all again", f, inodes, all...)
	expectReads(t, "all again", read())
}

// Without a memory everything is read, and then remembered.
func TestFindSomeFirst(t *testing.T) {
	h, fds, inodes, besides := holding(t, 5)
	f := remembering(0)
	read := reads(f, h.pid)
	expectSome(t, "first", f, inodes[:1], h.pid)
	expectReads(t, "first", read(), fds, besides)
	expectSome(t, "another", f, inodes[4:], h.pid)
	expectReads(t, "another", read(), fds[4:])
	// Who looks for all reads once more what nobody has held against the others.
	expect(t, "all", f, inodes, slices.Repeat([][]int32{{h.pid}}, 5)...)
	if got := read(); !slices.Contains(got, fds[0]) || !slices.Contains(got, fds[2]) {
		t.Errorf("all: %v were read, want %v among them", got, fds)
	}
}

// A socket in a place where another is remembered takes a look at all; one that is known to be nobody's does not.
func TestFindSomeChanged(t *testing.T) {
	h, fds, inodes, _ := holding(t, 3)
	f := remembering(0)
	expect(t, "all", f, inodes, slices.Repeat([][]int32{{h.pid}}, 3)...)
	h.close(fds[1])
	again, other := h.socket()
	same(t, fds[1], again)
	if _, err := findSome(t, f, inodes[0], other); !errors.Is(err, ErrChanged) {
		t.Errorf("a new socket: error %v, want %v", err, ErrChanged)
	}
	inodes[1] = other
	const nobodys = 1<<32 - 2
	expect(t, "all", f, append(slices.Clone(inodes), nobodys), append(slices.Repeat([][]int32{{h.pid}}, 3), nil)...)
	expectSome(t, "some", f, []uint32{other, nobodys}, h.pid, 0)
}

// What was let go of is told at once, whatever is remembered.
func TestFindSomeIsTrue(t *testing.T) {
	a, b := pair(t)
	fd, s := a.socket()
	theirs, other := b.socket()
	f := remembering(0)
	expect(t, "before", f, []uint32{s, other}, []int32{a.pid}, []int32{b.pid})
	a.pass(fd)
	b.pass(theirs)
	a.close(fd)
	b.close(theirs)
	same(t, fd, a.take())
	same(t, theirs, b.take())
	// Neither is where it was, and each is in the place of the other: who looks for both sees it.
	expectSome(t, "exchanged", f, []uint32{s, other}, b.pid, a.pid)
}

func TestFindSomeOfNone(t *testing.T) {
	h, _, inodes, _ := holding(t, 1)
	f := remembering(0)
	expect(t, "before", f, inodes, []int32{h.pid})
	if _, err := findSome(t, f); err != nil || len(f.last.descriptors) != 1 {
		t.Errorf("error %v, %d descriptors remembered, want 1", err, len(f.last.descriptors))
	}
}

// The BPF program runs where owners are not where they are remembered, and where few sockets are held by anybody.
func TestIteratorFindSome(t *testing.T) {
	self := int32(os.Getpid())
	if err := CheckPrivilege(); err != nil {
		t.Skip(err)
	}
	_, first := socket(t)
	runs := 0
	records := []taskfile.Record{held(uint32(self), first)}
	it := &Iterator{reader: processes.NewReader("/proc"), some: remembering(0), many: 0, read: func(_ context.Context, dst []taskfile.Record) ([]taskfile.Record, error) {
		runs++
		return append(dst, records...), nil
	}}
	look := func(what string, wantRuns int, inodes ...uint32) {
		t.Helper()
		runs = 0
		if err := it.LookSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		wanted := wanting(inodes...)
		owners, _, err := it.FindSome(t.Context(), wanted, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, inode := range inodes {
			if at := wanted.Owner(inode); at == model.NoOwner || owners[at].PID != self {
				t.Errorf("%s: socket %d has owner %d of %v, want process %d", what, inode, at, owners, self)
			}
		}
		if runs != wantRuns {
			t.Errorf("%s: the program ran %d times, want %d", what, runs, wantRuns)
		}
	}
	look("nothing is known", 1, first)
	look("it is remembered", 0, first)
	look("it is still remembered", 0, first)

	// A socket that the kernel tells of and that cannot be seen in /proc, as of a thread with descriptors of its own.
	const unseen = 1<<32 - 2
	records = append(records, held(uint32(self), unseen))
	look("it is not seen", 1, first, unseen)
	look("it is never seen", 1, first, unseen)

	// What is remembered alone is told without the program, or not at all.
	ahead := func(what string, want error, inodes ...uint32) {
		t.Helper()
		runs = 0
		if err := it.LookSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		wanted := wanting(inodes...)
		owners, _, err := it.FindRemembered(t.Context(), wanted, nil, nil)
		if !errors.Is(err, want) || err == nil && (wanted.Owner(first) == model.NoOwner || owners[wanted.Owner(first)].PID != self) {
			t.Errorf("%s: owners %v, error %v, want %v", what, owners, err, want)
		}
		if runs != 0 {
			t.Errorf("%s: the program ran %d times", what, runs)
		}
	}
	ahead("it is remembered", nil, first)
	ahead("one has gone", ErrChanged, first, 1<<32-3)
	look("after the one that has gone", 0, first)
	it.many = 3
	look("few are held", 1, first)
}

// Where /proc is closed the program tells what the processes hold that have changed, and those that are to be told as owners.
func TestFindSomeByBPFAlone(t *testing.T) {
	it, err := OpenIterator()
	if err != nil {
		t.Skip(err)
	}
	defer it.Close()
	if it.someByBPF == nil {
		t.Skip("the kernel cannot show the files of one process to BPF: it is older than Linux 6.1")
	}
	a, _, ofA, _ := holding(t, 2)
	b, _, ofB, _ := holding(t, 2)
	none := ended(t)
	f := remembering(0)
	var listed []int32
	f.held = func(ctx context.Context, pid int32, dst []taskfile.Record) ([]taskfile.Record, error) {
		listed = append(listed, pid)
		return it.program.ReadOf(ctx, pid, dst)
	}
	f.readlink = func(int, []byte, []byte) (int, error) { t.Error("a link was read"); return 0, os.ErrPermission }
	f.getdents = func(int, []byte) (int, error) { t.Error("descriptors were listed"); return 0, os.ErrPermission }
	expectListed := func(when string, want ...int32) {
		t.Helper()
		listed = slices.DeleteFunc(listed, func(pid int32) bool { return pid != a.pid && pid != b.pid && pid != none })
		slices.Sort(listed)
		slices.Sort(want) // the numbers may have begun anew between two starts
		if diff := cmp.Diff(want, listed); diff != "" {
			t.Errorf("%s: processes that were looked at (-want +got):\n%s", when, diff)
		}
		listed = nil
	}
	expectSome(t, "first", f, ofA, a.pid, a.pid)
	expectListed("first", a.pid, b.pid, none)
	expectSome(t, "as before", f, ofA[:1], a.pid)
	expectListed("as before", a.pid)
	b.file()
	expectSome(t, "the other has changed", f, ofA[:1], a.pid)
	expectListed("the other has changed", a.pid, b.pid)
	expectSome(t, "the other's", f, ofB, b.pid, b.pid)
	expectListed("the other's", b.pid)
}

// ended is a process that has ended and is waited for by nobody yet: it has no descriptors, as the kernel's own threads.
func ended(t *testing.T) (pid int32) {
	t.Helper()
	process := exec.Command("true")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Wait(); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Waitid(unix.P_PID, process.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	return int32(process.Process.Pid)
}
