//go:build linux

package owner

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// reads has f note which of a process's descriptors it reads the links of, and returns how to have them told, by ascending
// number, and forgotten.
func reads(f *Finder, pid int32) func() []int {
	var read []int
	f.readlink = func(dir int, name, buf []byte) (int, error) {
		if f.dir.pid == pid {
			var fd int
			_, _ = fmt.Sscan(strings.TrimSuffix(string(name), "\x00"), &fd)
			read = append(read, fd)
		}
		return readlinkat(dir, name, buf)
	}
	return func() []int {
		slices.Sort(read)
		told := read
		read = nil
		return told
	}
}

// holding starts a process that holds so many sockets, and returns their descriptors and inodes, and what descriptors it has
// besides.
func holding(t *testing.T, sockets int) (h *holder, fds []int, inodes []uint32, besides []int) {
	t.Helper()
	h = start(t, "holds", nil)
	for range sockets {
		fd, inode := h.socket()
		fds, inodes = append(fds, fd), append(inodes, inode)
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(fds, fd) {
			besides = append(besides, fd)
		}
	}
	return h, fds, inodes, besides
}

// expectReads holds what was read against the descriptors that had to be.
func expectReads(t *testing.T, when string, got []int, want ...[]int) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(want...))), got); diff != "" {
		t.Errorf("%s: descriptors that were read (-want +got):\n%s", when, diff)
	}
}

// listings has f note of which processes it lists the descriptors, and returns how to have them told and forgotten.
func listings(f *Finder) func() []int32 {
	var listed []int32
	f.getdents = func(fd int, buf []byte) (int, error) {
		n, err := unix.Getdents(fd, buf)
		if n == 0 {
			listed = append(listed, f.dir.pid)
		}
		return n, err
	}
	return func() []int32 {
		told := listed
		listed = nil
		return told
	}
}

// Of a process that has as many descriptors as before nothing is read, of another what is new, and what is no socket.
func TestFinderReadsWhatIsNew(t *testing.T) {
	h, fds, inodes, besides := holding(t, 5)
	f := remembering(0)
	read := reads(f, h.pid)
	all := slices.Repeat([][]int32{{h.pid}}, 5)

	expect(t, "first", f, inodes, all...)
	expectReads(t, "first", read(), fds, besides)
	expect(t, "again", f, inodes, all...)
	expectReads(t, "again", read())

	fd, inode := h.socket()
	expect(t, "one more", f, append(inodes, inode), append(all, []int32{h.pid})...)
	expectReads(t, "one more", read(), []int{fd}, besides)

	h.close(fd)
	expect(t, "one less", f, inodes, all...)
	expectReads(t, "one less", read(), besides)

	// As many as before: that there is another socket tells.
	h.close(fds[2])
	again, other := h.socket()
	same(t, fds[2], again)
	inodes[2] = other
	expect(t, "one in the place of another", f, inodes, all...)
	expectReads(t, "one in the place of another", read(), fds[2:3], besides)
	expect(t, "at last", f, inodes, all...)
	expectReads(t, "at last", read())
}

// Which processes' descriptors are listed.
func TestFinderListsWhatHasChanged(t *testing.T) {
	if !countsDescriptors(t) {
		t.Skip("the kernel does not tell how many descriptors a process has: it is older than Linux 6.2")
	}
	a, _, ofA, _ := holding(t, 1)
	b, _, ofB, _ := holding(t, 2)
	f := remembering(0)
	now := f.clock()
	f.clock = func() time.Time { return now }
	listed := listings(f)
	lists := func(what string, pid int32, want bool) {
		t.Helper()
		if got := slices.Contains(listed(), pid); got != want {
			t.Errorf("%s: listed %v, want %v", what, got, want)
		}
	}
	look(t, f, ofA[0], ofB[0], ofB[1])
	lists("at first", b.pid, true)
	look(t, f, ofA[0], ofB[0], ofB[1])
	lists("nothing has changed", b.pid, false)

	b.file()
	look(t, f, ofA[0], ofB[0], ofB[1])
	lists("one descriptor more, of a file", b.pid, true)

	look(t, f, ofA[0], ofB[0])
	lists("one of its sockets is not wanted", b.pid, true)
	look(t, f, ofA[0], ofB[0])
	lists("it is still not wanted", b.pid, false)

	// Another socket in the place of a file: nothing but the socket tells.
	file := a.file()
	look(t, f, ofA[0], ofB[0])
	a.close(file)
	_, inode := a.socket()
	listed()
	expect(t, "a socket in the place of a file", f, []uint32{inode, ofA[0]}, []int32{a.pid}, []int32{a.pid})

	// A socket that nobody holds is looked for once.
	const nobodys = math.MaxUint32
	wanted := []uint32{ofA[0], ofB[0], inode, nobodys}
	look(t, f, wanted...)
	listed()
	look(t, f, wanted...)
	lists("nobody's socket, the second time", b.pid, false)

	now = now.Add(trust/2 - 1)
	look(t, f, wanted...)
	lists("after less than half the trust", b.pid, false)
	now = now.Add(trust / 2) // less than it after the look before, so that the memory is still used
	look(t, f, wanted...)
	lists("after the trust", b.pid, true)
}

// countsDescriptors reports whether the kernel tells how many descriptors a process has.
func countsDescriptors(t *testing.T) bool {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/fd", &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Size > 0
}

// A socket that shows up elsewhere is read where it was, and no other is.
func TestFinderDoubts(t *testing.T) {
	_, others := socket(t)
	a, b := pair(t)
	fd, s := a.socket()
	stayed, stays := a.socket()
	f := remembering(0)
	expect(t, "before", f, []uint32{s, stays, others}, []int32{a.pid}, []int32{a.pid}, []int32{int32(os.Getpid())})
	a.pass(fd)
	b.take()
	read := reads(f, a.pid)
	expect(t, "passed", f, []uint32{s, stays, others}, []int32{a.pid, b.pid}, []int32{a.pid}, []int32{int32(os.Getpid())})
	got := read()
	if !slices.Contains(got, fd) || slices.Contains(got, stayed) {
		t.Errorf("of process a descriptors %v were read, want %d among them and not %d", got, fd, stayed)
	}
}

// A socket that had several descriptors is read at each of them.
func TestFinderReadsSeveral(t *testing.T) {
	file, s := socket(t)
	a, b := pair(t, file)
	file.Close()
	fd, alone := a.socket()
	f := remembering(0)
	expect(t, "before", f, []uint32{s, alone}, []int32{a.pid, b.pid}, []int32{a.pid})
	read := reads(f, a.pid)
	expect(t, "after", f, []uint32{s, alone}, []int32{a.pid, b.pid}, []int32{a.pid})
	if got := read(); !slices.Contains(got, 4) || slices.Contains(got, fd) {
		t.Errorf("of process a descriptors %v were read, want 4 among them and not %d", got, fd)
	}
}

// Each descriptor has its turn, round and round.
func TestFinderTurns(t *testing.T) {
	h, fds, inodes, besides := holding(t, 10)
	f := remembering(3)
	read := reads(f, h.pid)
	all := slices.Repeat([][]int32{{h.pid}}, 10)
	expect(t, "first", f, inodes, all...)
	expectReads(t, "first", read(), fds, besides)
	for _, turn := range [][]int{fds[:3], fds[3:6], fds[6:9], {fds[9], fds[0], fds[1]}, fds[2:5]} {
		expect(t, "a turn", f, inodes, all...)
		expectReads(t, "a turn", read(), turn)
	}
	// The place in the round is kept where what stood there is gone.
	h.close(fds[4])
	expect(t, "a turn", f, slices.Delete(inodes, 4, 5), all[:9]...)
	expectReads(t, "a turn", read(), fds[5:8], besides)
}

// What has not been read for 30 seconds has its turn, however much that is.
func TestFinderTrusts(t *testing.T) {
	h, fds, inodes, besides := holding(t, 10)
	all := slices.Repeat([][]int32{{h.pid}}, 10)
	for _, test := range []struct {
		elapsed time.Duration
		read    int
	}{
		{0, 1}, {3 * time.Second, 1}, {6 * time.Second, 2}, {15 * time.Second, 5}, {27 * time.Second, 9}, {30 * time.Second, 10}, {time.Hour, 10},
	} {
		f := NewFinder("/proc")
		f.minShare = 1
		now := time.Now()
		f.clock = func() time.Time { return now }
		read := reads(f, h.pid)
		expect(t, "first", f, inodes, all...)
		read()
		now = now.Add(test.elapsed)
		expect(t, test.elapsed.String(), f, inodes, all...)
		// What else it has is read where it is listed: at some time between the half of the trust and the whole.
		ofSockets := slices.DeleteFunc(read(), func(fd int) bool { return slices.Contains(besides, fd) })
		expectReads(t, test.elapsed.String(), ofSockets, fds[:test.read])
	}
}

// Where everything can have its turn at once nothing is taken from memory.
func TestFinderReadsAllOfFew(t *testing.T) {
	h, fds, inodes, besides := holding(t, 10)
	f := NewFinder("/proc")
	read := reads(f, h.pid)
	for range 3 {
		expect(t, "few", f, inodes, slices.Repeat([][]int32{{h.pid}}, 10)...)
		expectReads(t, "few", read(), fds, besides)
	}
}

// What the memory can be wrong in, and that it ends with the first turn of any descriptor that takes part.
func TestFinderHeals(t *testing.T) {
	t.Run("two have changed places", func(t *testing.T) {
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
		expect(t, "from memory", f, []uint32{s, other}, []int32{a.pid}, []int32{b.pid})
		f.minShare = 1
		expect(t, "with one turn", f, []uint32{s, other}, []int32{b.pid}, []int32{a.pid})
	})
	t.Run("it is on its way to somebody", func(t *testing.T) {
		a, _ := pair(t)
		fd, s := a.socket()
		f := remembering(0)
		expect(t, "before", f, []uint32{s}, []int32{a.pid})
		a.pass(fd)
		a.close(fd)
		again, other := a.socket()
		same(t, fd, again)
		expect(t, "from memory", f, []uint32{s, other}, []int32{a.pid}, nil)
		now := f.clock().Add(trust)
		f.clock = func() time.Time { return now }
		expect(t, "when it is trusted no longer", f, []uint32{s, other}, nil, []int32{a.pid})
	})
}

// A process that has another's number has nothing else of it.
func TestFinderInheritsNothing(t *testing.T) {
	proc := procOf(t, entry{"7", "first\n", fds("socket:[1]", "socket:[3]")}, entry{"8", "other\n", fds("socket:[3]")})
	f := remembering(0)
	f.proc = proc
	expect(t, "the first", f, []uint32{1, 2, 3}, []int32{7}, nil, []int32{7, 8})
	if err := os.Rename(filepath.Join(proc, "7"), filepath.Join(proc, "ended")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(procOf(t, entry{"7", "second\n", fds("socket:[2]")}), "7"), filepath.Join(proc, "7")); err != nil {
		t.Fatal(err)
	}
	expect(t, "the second", f, []uint32{1, 2, 3}, nil, []int32{7}, []int32{8})
}

// A look that fails leaves the memory as it was.
func TestFinderAfterAnError(t *testing.T) {
	h, _, inodes, besides := holding(t, 3)
	f := remembering(0)
	all := slices.Repeat([][]int32{{h.pid}}, 3)
	expect(t, "before", f, inodes, all...)
	file := h.file() // so that the process is listed anew
	f.getdents = func(int, []byte) (int, error) { return -1, unix.EIO }
	if _, err := f.first(t.Context(), wanting(inodes...), nil); err == nil {
		t.Error("no error")
	}
	f.getdents = unix.Getdents
	read := reads(f, h.pid)
	expect(t, "after", f, inodes, all...)
	expectReads(t, "after", read(), besides, []int{file})
}

// The memory is given back when there is little to remember.
func TestFinderShrinks(t *testing.T) {
	file, inode := socket(t)
	var dups []int
	for range 3 * spare {
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		dups = append(dups, fd)
	}
	f := remembering(0)
	self := int32(os.Getpid())
	for range 2 { // into either memory
		expect(t, "many", f, []uint32{inode}, []int32{self})
	}
	if n := len(f.last.descriptors); n != 3*spare+1 {
		t.Errorf("%d descriptors remembered, want %d", n, 3*spare+1)
	}
	for _, fd := range dups {
		unix.Close(fd)
	}
	expect(t, "one", f, []uint32{inode}, []int32{self})
	if n := len(f.last.descriptors); n != 1 {
		t.Errorf("%d descriptors remembered, want 1", n)
	}
	for name, n := range map[string]int{
		"remembered": cap(f.last.descriptors), "of the look": cap(f.look.descriptors), "met": cap(f.met), "doubted": cap(f.doubted), "several": cap(f.several),
	} {
		if n > 4+spare {
			t.Errorf("%s: memory for %d, want at most %d", name, n, 4+spare)
		}
	}
	if _, err := f.first(t.Context(), wanting(), nil); err != nil || f.last.descriptors != nil {
		t.Errorf("nothing wanted: %d descriptors remembered, error %v", len(f.last.descriptors), err)
	}
}

// remembered are three processes, the second of which has two descriptors.
func remembered() memory {
	return memory{
		processes:   []process{{pid: 5, end: 1}, {pid: 7, born: birth{inode: 1}, begin: 1, end: 3}, {pid: 9, begin: 3, end: 4}},
		descriptors: []descriptor{{fd: 3, inode: 1}, {fd: 4, inode: 2}, {fd: 6, inode: 3}, {fd: 3, inode: 4}},
	}
}

func TestMemoryFrom(t *testing.T) {
	for _, test := range []struct {
		from position
		want []uint32 // inodes
	}{
		{position{}, []uint32{1, 2, 3, 4}},
		{position{5, 2}, []uint32{1, 2, 3, 4}},
		{position{5, 3}, []uint32{2, 3, 4, 1}},
		{position{6, 3}, []uint32{2, 3, 4, 1}},
		{position{7, 3}, []uint32{2, 3, 4, 1}},
		{position{7, 4}, []uint32{3, 4, 1, 2}},
		{position{7, 5}, []uint32{3, 4, 1, 2}},
		{position{7, 6}, []uint32{4, 1, 2, 3}},
		{position{9, 3}, []uint32{1, 2, 3, 4}},
		{position{10, 0}, []uint32{1, 2, 3, 4}},
	} {
		m := remembered()
		owner := map[uint32]int32{1: 5, 2: 7, 3: 7, 4: 9}
		var got []uint32
		for p, d := range m.from(test.from) {
			got = append(got, d.inode)
			if p.pid != owner[d.inode] {
				t.Errorf("from %v: socket %d is of process %d, want %d", test.from, d.inode, p.pid, owner[d.inode])
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("from %v (-want +got):\n%s", test.from, diff)
		}
	}
	var empty memory
	for range empty.from(position{7, 4}) {
		t.Error("something in an empty memory")
	}
}

func TestMemoryFind(t *testing.T) {
	m := remembered()
	for _, test := range []struct {
		pid  int32
		born birth
		want []descriptor
	}{
		{5, birth{}, m.descriptors[:1]},
		{7, birth{inode: 1}, m.descriptors[1:3]},
		{7, birth{inode: 2}, nil},
		{7, birth{inode: 1, nsec: 1}, nil},
		{9, birth{}, m.descriptors[3:]},
		{8, birth{}, nil},
		{10, birth{}, nil},
	} {
		p, found := m.find(process{pid: test.pid, born: test.born})
		if got := m.of(p); found != (test.want != nil) || !slices.Equal(got, test.want) {
			t.Errorf("process %d of %v: %v, %v, want %v", test.pid, test.born, got, found, test.want)
		}
	}
}

// What is taken over is what is not gone, in the order of the processes, wherever it stood.
func TestMemoryTake(t *testing.T) {
	look := remembered()
	look.descriptors[0].known, look.descriptors[2].known, look.descriptors[3].known = gone, read, confirmed
	look.processes[1].begin, look.processes[1].end = 4, 6 // listed anew
	look.descriptors = append(look.descriptors, descriptor{fd: 4, inode: 2}, descriptor{fd: 8, inode: 9, known: read})
	look.processes[2].skipped = true
	m := memory{descriptors: make([]descriptor, 7)}
	m.take(&look)
	want := memory{
		processes:   []process{{pid: 5}, {pid: 7, born: birth{inode: 1}, end: 2}, {pid: 9, begin: 2, end: 3}},
		descriptors: []descriptor{{fd: 4, inode: 2}, {fd: 8, inode: 9}, {fd: 3, inode: 4}},
	}
	if !slices.Equal(m.processes, want.processes) || !slices.Equal(m.descriptors, want.descriptors) {
		t.Errorf("%v, want %v", m, want)
	}
}

// Processes that were listed together are listed again at different times, all within the trust.
func TestTrusted(t *testing.T) {
	times := make(map[time.Duration]int)
	for pid := range int32(1000) {
		d := (&process{pid: pid}).trusted()
		if d < trust/2 || d >= trust {
			t.Errorf("process %d is trusted for %s, want 15 to 30 seconds", pid, d)
		}
		times[d/time.Second]++
	}
	for second, n := range times {
		if n > 100 {
			t.Errorf("%d of 1000 processes are listed again after %d seconds", n, second)
		}
	}
}
