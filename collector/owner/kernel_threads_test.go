//go:build linux

package owner

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"

	processes "github.com/connectionsd/connectionsd/collector/process"
)

// What is known of a process holds for as long as it is there at every look, and for nobody who has its number after it.
func TestKernelThreads(t *testing.T) {
	proc := t.TempDir()
	stat := func(pid, flags int) {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		line := strconv.Itoa(pid) + " (a) S 0 0 0 0 -1 " + strconv.Itoa(flags) + strings.Repeat(" 0", 43) + "\n"
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stat(2, 0x208040) // kthreadd
	stat(7, 0x400100) // one that has closed all that it had
	reader := processes.NewReader(proc)
	var k kernelThreads
	look := func(what string, there []directory, want ...int32) {
		t.Helper()
		var got []int32
		k.begin()
		for _, at := range there {
			if k.has(at) {
				got = append(got, at.pid)
			} else {
				k.meet(at, reader)
			}
		}
		k.end()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the kernel's own (-want +got):\n%s", what, diff)
		}
	}
	kthread, other, gone := directory{2, 20}, directory{7, 70}, directory{9, 90}
	look("first", []directory{kthread, other, gone})
	look("again", []directory{kthread, other, gone}, 2)
	k.begin() // a look that is broken off behind the first two
	if !k.has(kthread) || k.has(other) {
		t.Error("in a look that is broken off others are the kernel's own")
	}
	look("after one that was broken off", []directory{kthread, other, gone}, 2)
	if len(k.known) != 2 {
		t.Errorf("%d are known: %v, want 2", len(k.known), k.known)
	}
	look("it is not there", []directory{other})
	look("it is there anew", []directory{kthread, other})
	look("and again", []directory{kthread, other}, 2)
	stat(2, 0x400100)
	look("as long as it is there it is what it was", []directory{kthread, other}, 2)
	look("another one has its number", []directory{{2, 21}, other})
	look("which is not the kernel's", []directory{{2, 21}, other})
	stat(7, 0x208040)
	look("a process with another's number is asked again", []directory{{7, 71}})
	look("and is the kernel's", []directory{{7, 71}}, 7)
}

// A Finder looks at the kernel's own threads once, and at a process without descriptors each time.
func TestFinderPassesOverKernelThreads(t *testing.T) {
	if !countsDescriptors(t) {
		t.Skip("the kernel does not tell how many descriptors a process has: it is older than Linux 6.2")
	}
	none := ended(t)
	h, _, inodes, _ := holding(t, 1)
	f := remembering(0)
	expect(t, "first", f, inodes, []int32{h.pid})
	looked := func(pid int32) bool {
		_, found := slices.BinarySearchFunc(f.last.processes, pid, comparePID)
		return found
	}
	before := kernelThreadsNow(t)
	// One can begin between two looks, and the kernel can make the inode of another anew: that one is looked at once more.
	for deadline := time.Now().Add(10 * time.Second); ; {
		expect(t, "again", f, inodes, []int32{h.pid})
		after := kernelThreadsNow(t)
		var wrong []int32
		for pid, start := range before {
			if after[pid] == start && looked(pid) {
				wrong = append(wrong, pid)
			}
		}
		if len(wrong) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of the kernel's own threads these are looked at: %v", wrong)
		}
	}
	for _, k := range f.kernel.known {
		if is, err := f.reader.IsKernelThread(k.pid); err == nil && is != k.kernels {
			t.Errorf("process %d: known as the kernel's own is %t", k.pid, k.kernels)
		}
	}
	if !slices.ContainsFunc(f.kernel.known, func(k known) bool { return k.pid == none && !k.kernels }) {
		t.Errorf("process %d, which has no descriptors: not known", none)
	}
	if !looked(none) || !looked(h.pid) {
		t.Errorf("process %d, which has no descriptors, or %d, which has some, was not looked at", none, h.pid)
	}
}

// kernelThreadsNow are the kernel's own threads that there are, and when they were started.
func kernelThreadsNow(t *testing.T) map[int32]uint64 {
	t.Helper()
	const kernels = 0x00200000 // PF_KTHREAD
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	started := make(map[int32]uint64)
	for _, p := range all {
		stat, err := p.Stat()
		if err == nil && stat.Flags&kernels != 0 { // else it has left, or is none
			started[int32(p.PID)] = stat.Starttime
		}
	}
	return started
}

// What it saves to know which processes are the kernel's own threads.
func BenchmarkKernelThreads(b *testing.B) {
	for _, known := range []bool{true, false} {
		b.Run("known="+strconv.FormatBool(known), func(b *testing.B) {
			f := NewFinder("/proc")
			for range 2 {
				f.look.forget()
				if err := f.lookAtAll(b.Context()); err != nil {
					b.Fatal(err)
				}
				if len(f.last.processes) == 0 { // else without those that are known
					f.last.take(&f.look)
				}
			}
			for i := range f.kernel.known {
				f.kernel.known[i].kernels = known
			}
			b.ReportMetric(float64(len(f.kernel.known)), "threads")
			for b.Loop() {
				f.look.forget()
				if err := f.lookAtAll(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
