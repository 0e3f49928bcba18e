//go:build linux

package owner

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// memory is which descriptors were found to be wanted sockets. There is no
// pointer in it, so however many there are the garbage collector passes over
// them.
type memory struct {
	processes   []process // by ascending number
	descriptors []descriptor
}

// process is one of the host's.
type process struct {
	pid  int32
	born birth
	// open is how many descriptors of any kind it had when they were listed, 0
	// where the kernel does not tell.
	open   int64
	listed time.Time // when they were
	// skipped is set where they were not in this look, and were taken over from
	// the look before.
	skipped bool
	// begin and end are where in memory.descriptors its own are, by ascending
	// number.
	begin, end int
}

// trusted is how long its descriptors need not be listed where their number
// stays the same. Processes that were listed together are not the next time.
func (p *process) trusted() time.Duration {
	return trust/2 + trust/2*time.Duration(uint32(p.pid)*0x9e3779b1>>24)/256
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
	known knowledge
}

// knowledge is how it is known which socket a descriptor is.
type knowledge uint8

const (
	// taken: it was so at the look before.
	taken knowledge = iota
	// fresh: it was so at the look before, which was for some sockets alone.
	fresh
	// confirmed: it was so at the look before, and was read again in this one.
	confirmed
	// read: it was read in this look, and was not known before.
	read
	// gone: it is no wanted socket any more.
	gone
)

func comparePID(p process, pid int32) int      { return cmp.Compare(p.pid, pid) }
func compareNumber(d descriptor, fd int32) int { return cmp.Compare(d.fd, fd) }

// find returns what is remembered of a process, and false if it is not
// remembered or was another one.
func (m *memory) find(p process) (process, bool) {
	i, found := slices.BinarySearchFunc(m.processes, p.pid, comparePID)
	if !found || m.processes[i].born != p.born {
		return process{}, false
	}
	return m.processes[i], true
}

// of returns the descriptors of a process.
func (m *memory) of(p process) []descriptor { return m.descriptors[p.begin:p.end] }

// position is a place in the order of a memory: behind that descriptor of that
// process, whether or not they are there.
type position struct {
	pid, fd int32
}

// from yields every descriptor once, with its process, beginning behind p and
// ending with those up to p.
func (m *memory) from(p position) iter.Seq2[*process, *descriptor] {
	return func(yield func(*process, *descriptor) bool) {
		n := len(m.processes)
		if n == 0 {
			return
		}
		first, _ := slices.BinarySearchFunc(m.processes, p.pid, comparePID)
		for round := range n + 1 { // the first twice: behind p, and up to it
			at := &m.processes[(first+round)%n]
			own := m.of(*at)
			if split := 0; at.pid == p.pid {
				split, _ = slices.BinarySearchFunc(own, p.fd+1, compareNumber)
				if round == 0 {
					own = own[split:]
				} else {
					own = own[:split]
				}
			} else if round == n {
				return
			}
			for i := range own {
				if !yield(at, &own[i]) {
					return
				}
			}
		}
	}
}

// take makes m what is known of other, for the look to come.
func (m *memory) take(other *memory) {
	m.forget()
	for _, p := range other.processes {
		begin := len(m.descriptors)
		for _, d := range other.of(p) {
			switch d.known {
			case gone:
				continue
			case read, confirmed:
				d.known = taken
			}
			m.descriptors = append(m.descriptors, d)
		}
		p.begin, p.end, p.skipped = begin, len(m.descriptors), false
		m.processes = append(m.processes, p)
	}
}

// forget empties m for reuse.
func (m *memory) forget() {
	m.processes, m.descriptors = m.processes[:0], m.descriptors[:0]
}

// fit moves m to less memory if it has much more than what is in other takes.
func (m *memory) fit(other *memory) {
	m.processes, m.descriptors = fit(m.processes, len(other.processes)), fit(m.descriptors, len(other.descriptors))
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
