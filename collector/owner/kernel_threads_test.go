//go:build linux

package owner

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

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
	for _, look := range []string{"first", "again", "with all that is known"} {
		expect(t, look, f, inodes, []int32{h.pid})
	}
	const kernels = 0x00200000 // PF_KTHREAD
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil {
			continue // it has left
		}
		ours := stat.Flags&kernels == 0
		i := slices.IndexFunc(f.kernel.known, func(k known) bool { return int(k.pid) == p.PID })
		if known := i >= 0 && f.kernel.known[i].kernels; known == ours {
			t.Errorf("process %d (%s): known as the kernel's own is %t", p.PID, stat.Comm, known)
		}
		if _, looked := slices.BinarySearchFunc(f.last.processes, int32(p.PID), comparePID); looked && !ours {
			t.Errorf("process %d (%s): was looked at", p.PID, stat.Comm)
		}
	}
	if !slices.ContainsFunc(f.kernel.known, func(k known) bool { return k.pid == none && !k.kernels }) {
		t.Errorf("process %d, which has no descriptors: not known", none)
	}
	if _, looked := slices.BinarySearchFunc(f.last.processes, none, comparePID); !looked {
		t.Errorf("process %d, which has no descriptors: was not looked at", none)
	}
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
