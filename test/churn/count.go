//go:build linux

package churn

import "net/netip"

// remoteEnd is what an answer without local addresses has of a connection.
// Several can have the same.
type remoteEnd struct {
	address  netip.AddrPort
	incoming bool
}

// number is how many connections have the same remoteEnd.
type number struct {
	got   int // records
	lived int // ends that lived through the request
	most  int // ends that can have been there
}

// count checks an answer that has remote addresses alone.
func (c *checking) count() {
	numbers := make(map[remoteEnd]*number)
	of := func(r remoteEnd) *number {
		n := numbers[r]
		if n == nil {
			n = new(number)
			numbers[r] = n
		}
		return n
	}
	for _, r := range c.answer.records {
		of(remoteEnd{r.remote, *r.incoming}).got++
	}
	for e := range c.all() {
		n := of(remoteEnd{e.remote, !e.opener})
		if c.mustHave(e) {
			c.lived++
			n.lived++
		}
		if e.mayLive(c.from, c.to) {
			n.most++
		}
	}
	for r, n := range numbers {
		other := numbers[remoteEnd{r.address, !r.incoming}]
		if other == nil {
			other = new(number)
		}
		// What is too many with one direction and too few with the other has the
		// wrong one.
		more, fewer := n.more(), n.fewer()
		turned := min(more, other.fewer())
		more -= turned
		fewer -= min(fewer, other.more())
		passing := min(more, max(0, other.most-other.got-turned))
		more -= passing
		for range turned {
			c.find(WrongDirection, "%v: incoming is %v", r.address, r.incoming)
		}
		for range passing {
			c.find(PassingDirection, "%v: incoming is %v", r.address, r.incoming)
		}
		for range fewer {
			c.find(Missing, "%v, incoming %v: %d of at least %d", r.address, r.incoming, n.got, n.lived)
		}
		kind := Gone
		if n.most > 0 {
			kind = PassingRepeated
		}
		for range more {
			c.find(kind, "%v, incoming %v: %d of at most %d", r.address, r.incoming, n.got, n.most)
		}
	}
}

// more and fewer are how many records there are more than can be, and fewer than
// must be.
func (n *number) more() int  { return max(0, n.got-n.most) }
func (n *number) fewer() int { return max(0, n.lived-n.got) }
