//go:build linux

package sockdiag

import "time"

// scheduler says whether Go's scheduler is told of a system call of a request.
//
// Where the kernel answers at once, sendto and recvfrom each have it make one
// datagram, for a tenth of a millisecond as a rule. The scheduler, if it is
// told, gives this goroutine's processor to another meanwhile, and with other work
// to do it can take milliseconds until this one has one again. So a request for
// all of a hundred thousand sockets took 1.25 to 1.4 times the bare dump, where it
// takes 1.1; and between two datagrams the kernel has let go of the bucket that
// it was in (lostPlace of collector). The price is that a collection of garbage,
// which stops all goroutines for a moment, waits for the kernel to begin.
type scheduler struct {
	untold bool
	// told is for how many requests more it is, whatever they are.
	told int
}

// tooLong is how long a call may take that the scheduler is not told of: half as
// long as a goroutine may run before others get their turn (forcePreemptNS of
// runtime/proc.go). One takes longer where a namespace has few sockets of its
// own in a table that is full of others', or where before Linux 6.9 another dump,
// of this process or not, has the mutex for the while of a datagram
// (inet_diag_table_mutex in net/ipv4/inet_diag.c).
const tooLong = 5 * time.Millisecond

// toldFor is for how many requests the scheduler is told after that.
const toldFor = 16

// begin begins a request; atOnce is whether the kernel answers it at once.
func (s *scheduler) begin(atOnce bool) {
	s.untold = atOnce && s.told == 0
	if atOnce && s.told > 0 {
		s.told--
	}
}

// took says how long a call has taken that the scheduler was not told of.
func (s *scheduler) took(d time.Duration) {
	if d > tooLong {
		s.untold, s.told = false, toldFor
	}
}
