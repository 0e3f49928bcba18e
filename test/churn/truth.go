//go:build linux

package churn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ends names a socket by its two ends.
type ends struct{ local, remote netip.AddrPort }

func (e ends) String() string { return fmt.Sprintf("%v - %v", e.local, e.remote) }

func (e ends) mirrored() ends { return ends{e.remote, e.local} }

// process is one that holds ends.
type process struct {
	pid  int32
	name string
}

// end is one end of a connection, and what is certain of it.
type end struct {
	ends
	opener bool
	peer   *end
	// holder is nil as long as nobody has accepted the connection.
	holder *process
	// The socket cannot have been there before begun. It was there, with its
	// owner, from since on.
	begun, since instant
	// From shut on it may not be ESTABLISHED any more, and from closing on not be
	// there. Its process has let go of it at left.
	shut, closing, left instant
	// reset: it was closed with a RST, so from left on it is not there.
	reset bool

	// id is the connection_id that an answer gave it.
	id string
}

// lives reports whether the end is certainly there, and has its owner, from one
// instant to another.
func (e *end) lives(from, to instant) bool {
	// When both have sent a FIN the socket goes over to TIME_WAIT, with or without
	// a process that holds it.
	until := min(e.closing, max(e.shut, e.peer.shut))
	if e.peer.reset {
		until = min(until, e.peer.closing)
	}
	return e.since <= from && to <= until
}

// established reports whether it certainly is in ESTABLISHED from one instant to
// another.
func (e *end) established(from, to instant) bool {
	return e.lives(from, to) && to <= min(e.shut, e.peer.shut, e.peer.closing)
}

// onItsWay is how long a FIN and its acknowledgement, or a RST, can take.
const onItsWay = 5 * time.Second

// mayLive reports whether the end can have been there at any time from one
// instant to another.
func (e *end) mayLive(from, to instant) bool {
	gone := e.left
	switch {
	case e.holder == nil && e.peer.reset: // nobody will accept it
		gone = e.peer.left.add(onItsWay)
	case !e.reset:
		gone = max(e.left, e.peer.left).add(onItsWay)
	}
	return e.begun <= to && from <= gone
}

// truth is what the holders have said.
type truth struct {
	mu   sync.Mutex
	told []instant // by holder, the instant up to which everything is known
	err  error     // of a holder
	news chan struct{}
	// ready and stopped are how many holders are.
	ready, stopped int

	// connections are the openers' ends in the order in which they became known.
	connections []*end
	byEnds      map[ends][]*end
	byNumber    []map[uint32]*end // by holder
	accepted    []*end            // of which it is not known yet who opened them
	opened      int
	closed      int
}

func newTruth(holders int) *truth {
	t := &truth{told: make([]instant, holders), news: make(chan struct{}), byEnds: make(map[ends][]*end)}
	for range holders {
		t.byNumber = append(t.byNumber, make(map[uint32]*end))
	}
	return t
}

// hear takes what a holder says.
func (t *truth) hear(holder int, p *process, r *report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range r.Events {
		if err := t.note(holder, p, e); err != nil && t.err == nil {
			t.err = err
		}
	}
	t.told[holder] = r.Told
	if r.Ready {
		t.ready++
	}
	if r.Stopped {
		t.stopped++
	}
	t.tell()
}

// fail notes that a holder says nothing more.
func (t *truth) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.tell()
}

// tell wakes those who wait.
func (t *truth) tell() {
	close(t.news)
	t.news = make(chan struct{})
}

// wait waits until ready says so.
func (t *truth) wait(ctx context.Context, ready func() bool) error {
	for {
		t.mu.Lock()
		err, is, news := t.err, ready(), t.news
		t.mu.Unlock()
		switch {
		case err != nil:
			return err
		case is:
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// knows reports whether everything up to an instant is known.
func (t *truth) knows(at instant) bool { return slices.Min(t.told) >= at }

// numbers returns how many connections have been opened, and closed by who opened
// them.
func (t *truth) numbers() (opened, closed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opened, t.closed
}

func (t *truth) note(holder int, p *process, v event) error {
	e := t.byNumber[holder][v.End]
	switch {
	case v.What == opened || v.What == accepted:
		e = &end{
			ends: ends{v.Local, v.Remote}, opener: v.What == opened, holder: p,
			begun: v.Began, since: v.Done, shut: never, closing: never, left: never,
		}
		t.byNumber[holder][v.End] = e
		if !e.opener {
			t.accepted = append(t.accepted, e)
			return nil
		}
		e.peer = &end{ends: e.mirrored(), peer: e, begun: v.Began, since: never, shut: never, closing: never, left: never}
		t.opened++
		t.connections = append(t.connections, e)
		t.byEnds[e.ends] = append(t.byEnds[e.ends], e)
		t.byEnds[e.peer.ends] = append(t.byEnds[e.peer.ends], e.peer)
		return nil
	case e == nil:
		return fmt.Errorf("%s has closed an end that it never had", p.name)
	case v.What == shut:
		e.shut = v.Began
		return nil
	}
	e.shut, e.closing, e.left, e.reset = min(e.shut, v.Began), v.Began, v.Done, v.What == aborted
	delete(t.byNumber[holder], v.End)
	if e.opener {
		t.closed++
	}
	return nil
}

// pair finds out who opened what was accepted, as far as everything is known.
func (t *truth) pair() error {
	known := slices.Min(t.told)
	var err error
	t.accepted = slices.DeleteFunc(t.accepted, func(e *end) bool {
		if e.since > known {
			return false
		}
		// There is one connection at a time with the same two ends, and it was not yet
		// reset when it was accepted: the last that was begun before.
		same := t.byEnds[e.ends]
		for i := len(same) - 1; i >= 0; i-- {
			if same[i].begun <= e.since {
				if same[i].opener || same[i].holder != nil {
					break
				}
				e.peer, e.begun = same[i].peer, same[i].begun
				e.peer.peer, same[i] = e, e
				return true
			}
		}
		err = fmt.Errorf("%s has accepted %v, which nobody opened", e.holder.name, e.ends)
		return true
	})
	return err
}

// forget drops the connections that no answer to a request after that instant
// can have.
func (t *truth) forget(before instant) {
	t.connections = slices.DeleteFunc(t.connections, func(e *end) bool {
		if e.mayLive(before, never) || e.peer.mayLive(before, never) {
			return false
		}
		for _, e := range []*end{e, e.peer} {
			left := slices.DeleteFunc(t.byEnds[e.ends], func(other *end) bool { return other == e })
			if len(left) == 0 {
				delete(t.byEnds, e.ends)
			} else {
				t.byEnds[e.ends] = left
			}
		}
		return true
	})
}
