//go:build linux

package collector

import (
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// lostPlace finds out whether the kernel may have lost its place in a dump.
//
// It goes through a hash bucket by position. Where a datagram is full it lets go
// of the bucket, and finds back by position once that has been received. If one
// of the sockets that it had passed in that bucket is closed meanwhile, the next
// one moves up and is passed over. So those that a datagram ended with are
// looked up when the next has come: if they are there, so was the place. Most
// were the only ones in their bucket, so that one that is gone means little; but
// it is rare, since that is some milliseconds later, and another dump has all. A
// look is 8 µs (BenchmarkLookup), where a datagram takes the kernel 150; before
// Linux 6.9 it can have to wait for the one that is being made. Where a look
// fails, nothing is known of the place, and another dump is made too.
//
// What it does not see are sockets of the same bucket that the dump does not
// have, which the kernel counts too: those in TIME_WAIT, each of which goes after
// a minute, those that a filter leaves out or that are in the other part of a dump
// in two (bucketsToLeave), and one that was closed while the kernel listed it. Those
// that listen, which the kernel has in a table of their own, are not looked up.
type lostPlace struct {
	join   sockdiag.Join
	lookUp func(*model.Socket) (found bool, err error)
	// depth is how many of the last of each datagram are looked up.
	depth int
	// atOnce is whether they are while the dump goes on.
	atOnce bool
	began  int   // of the sockets that are not this dump's
	ends   []int // of the datagrams but the last, within the sockets
	maybe  bool
}

// fullDatagram is how many sockets a datagram has at least if there was no room for
// another: it has 32 KiB, and each takes less than 500 bytes as a rule.
const fullDatagram = 64

// crowded is how many buckets there are for each socket, at the most, where often
// enough three are in one: then the last two of a datagram are looked up.
const crowded = 16

func (p *lostPlace) watch(sockets []model.Socket, from int) int {
	last := p.began
	if n := len(p.ends); n > 0 {
		last = p.ends[n-1]
	}
	switch {
	case from == p.began: // the dump begins, perhaps anew
		p.ends, p.maybe = p.ends[:0], false
	case from < len(sockets) || from-last >= fullDatagram:
		p.ends = append(p.ends, from)
		if p.atOnce {
			p.look(sockets, from)
		}
	}
	return p.join(sockets, from)
}

// lookBack looks at all ends, of a dump that has been made.
func (p *lostPlace) lookBack(sockets []model.Socket) {
	if p.atOnce {
		return
	}
	for _, end := range p.ends {
		p.look(sockets, end)
	}
}

// look sees whether the kernel may have lost its place at an end.
func (p *lostPlace) look(sockets []model.Socket, end int) {
	for i := end - 1; i >= max(p.began, end-p.depth) && !p.maybe && sockets[i].State.IsConnection(); i-- {
		found, err := p.lookUp(&sockets[i])
		p.maybe = err != nil || !found
	}
}
