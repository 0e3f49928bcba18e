//go:build linux

package owner

import (
	"cmp"
	"iter"
	"slices"
)

// memory is which descriptors were found to be wanted sockets. There is no
// pointer in it, so however many there are the garbage collector passes over
// them.
type memory struct {
	processes []process // by ascending number; only those with descriptors
	// descriptors are those of the first process, then of the second and so on,
	// each process's by ascending number.
	descriptors []descriptor
}

// process is one that holds sockets.
type process struct {
	pid  int32
	born birth
	// end is where in memory.descriptors its own end. They begin at the end of
	// the process before it.
	end int
}

// birth tells processes apart that have the same number one after the other:
// an inode of the proc file system is of one process as long as that lives. The
// kernel may make a process's inode anew, which looks as if the process were
// another one; then its descriptors are read again, and that is all.
type birth struct {
	inode     uint64
	sec, nsec int64 // when the inode was made
}

// descriptor is a descriptor that is a socket.
type descriptor struct {
	fd    int32
	inode uint32
	// taken is set where that was not read in this look but taken over from the
	// look before.
	taken bool
}

// gone is descriptor.fd of one that is to be forgotten.
const gone int32 = -1

func comparePID(p process, pid int32) int      { return cmp.Compare(p.pid, pid) }
func compareNumber(d descriptor, fd int32) int { return cmp.Compare(d.fd, fd) }

// begin returns where the descriptors of process i begin.
func (m *memory) begin(i int) int {
	if i == 0 {
		return 0
	}
	return m.processes[i-1].end
}

// of returns the descriptors of a process, none if it is not remembered or was
// another one.
func (m *memory) of(pid int32, born birth) []descriptor {
	i, found := slices.BinarySearchFunc(m.processes, pid, comparePID)
	if !found || m.processes[i].born != born {
		return nil
	}
	return m.descriptors[m.begin(i):m.processes[i].end]
}

// add ends the process whose descriptors have been appended to m since the last
// call.
func (m *memory) add(pid int32, born birth) {
	begin := m.begin(len(m.processes))
	if begin == len(m.descriptors) {
		return
	}
	// /proc lists descriptors by their numbers already.
	byNumber := func(a, b descriptor) int { return compareNumber(a, b.fd) }
	if own := m.descriptors[begin:]; !slices.IsSortedFunc(own, byNumber) {
		slices.SortFunc(own, byNumber)
	}
	m.processes = append(m.processes, process{pid: pid, born: born, end: len(m.descriptors)})
}

// position is a place in the order of a memory: behind that descriptor of that
// process, whether or not they are there.
type position struct {
	pid, fd int32
}

// from yields every descriptor once, with its process, beginning behind p and
// ending with those up to p.
func (m *memory) from(p position) iter.Seq2[*process, *descriptor] {
	return func(yield func(*process, *descriptor) bool) {
		first, found := slices.BinarySearchFunc(m.processes, p.pid, comparePID)
		start := m.begin(first)
		if found {
			own := m.descriptors[start:m.processes[first].end]
			behind, _ := slices.BinarySearchFunc(own, p.fd+1, compareNumber)
			start += behind
		}
		_ = m.span(first, start, len(m.descriptors), yield) && m.span(0, 0, start, yield)
	}
}

// span yields the descriptors from start to end, of which the first is of
// process i or a later one. It reports whether yield wants more.
func (m *memory) span(i, start, end int, yield func(*process, *descriptor) bool) bool {
	for at := start; at < end; at++ {
		for at >= m.processes[i].end {
			i++
		}
		if !yield(&m.processes[i], &m.descriptors[at]) {
			return false
		}
	}
	return true
}

// compact removes the descriptors that are gone.
func (m *memory) compact() {
	kept, begin := 0, 0
	for i := range m.processes {
		p := &m.processes[i]
		own := m.descriptors[begin:p.end]
		begin = p.end
		for _, d := range own {
			if d.fd != gone {
				m.descriptors[kept] = d
				kept++
			}
		}
		p.end = kept
	}
	m.descriptors = m.descriptors[:kept]
}

// forget empties m for reuse.
func (m *memory) forget() {
	m.processes, m.descriptors = m.processes[:0], m.descriptors[:0]
}

// fit moves m to less memory if it has much more than n descriptors take.
func (m *memory) fit(n int) {
	m.processes, m.descriptors = fit(m.processes, n), fit(m.descriptors, n)
}

// spare is how many unused elements are not worth giving back.
const spare = 4096

// fit returns s, in other memory where its own is for many more than n
// elements: a spike in the number of sockets is not to be paid for ever after.
func fit[T any](s []T, n int) []T {
	if cap(s) > 4*n+spare {
		return slices.Clone(s)
	}
	return s
}
