//go:build linux

package owner

import (
	"cmp"
	"slices"

	processes "github.com/connectionsd/connectionsd/collector/process"
)

// directory is that of a process, as the proc file system lists it. Whoever gets the number of a process after it has
// another one: the kernel makes it anew, with another inode.
type directory struct {
	pid   int32
	inode uint64
}

func (d directory) compare(other directory) int {
	return cmp.Or(cmp.Compare(d.pid, other.pid), cmp.Compare(d.inode, other.inode))
}

// kernelThreads are the kernel's own threads, as far as they are known. They hold nothing: all have one table of
// descriptors, into which the kernel puts none (init_files in fs/file.c). A host often has more of them than of processes,
// and to see that one has no descriptor takes 2 µs (BenchmarkKernelThreads).
type kernelThreads struct {
	known, next []known // by ascending number
}

// known is a process that had no descriptor, and whether it is one of the kernel's own threads: others may get one.
type known struct {
	directory
	kernels bool
}

// begin begins a look; the one before may have been broken off.
func (k *kernelThreads) begin() { k.next = k.next[:0] }

// has reports whether the process at is one of the kernel's own threads, and keeps what is known of it. It is asked by
// ascending numbers.
func (k *kernelThreads) has(at directory) bool {
	i, found := slices.BinarySearchFunc(k.known, at, func(one known, at directory) int { return one.compare(at) })
	if !found {
		return false
	}
	k.next = append(k.next, k.known[i])
	return k.known[i].kernels
}

// meet learns of the process at, which has no descriptor, what it is.
func (k *kernelThreads) meet(at directory, reader *processes.Reader) {
	if n := len(k.next); n > 0 && k.next[n-1].directory == at {
		return
	}
	if kernels, err := reader.IsKernelThread(at.pid); err == nil {
		k.next = append(k.next, known{at, kernels})
	}
}

// end ends a look, and forgets those that were not asked for in it.
func (k *kernelThreads) end() {
	k.known, k.next = fit(k.next, len(k.next)), k.known[:0]
}
