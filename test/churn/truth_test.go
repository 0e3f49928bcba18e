//go:build linux

package churn

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	server = netip.MustParseAddrPort("127.0.0.1:80")
	peer   = netip.MustParseAddrPort("127.0.0.1:40000")

	opening = &process{pid: 11, name: "holder-0"}
	serving = &process{pid: 12, name: "holder-1"}
)

// conversation is what the two holders say of a connection, in milliseconds.
type conversation struct{ opener, acceptor []event }

// say begins one that was opened from 10 to 20 and accepted at 30.
func say() *conversation {
	return &conversation{
		opener:   []event{{What: opened, End: 1, Local: peer, Remote: server, Began: 10, Done: 20}},
		acceptor: []event{{What: accepted, End: 1, Local: server, Remote: peer, Done: 30}},
	}
}

func (c *conversation) openerDoes(w what, began instant) *conversation {
	c.opener = append(c.opener, event{What: w, End: 1, Began: began, Done: began + 5})
	return c
}

func (c *conversation) acceptorDoes(w what, began instant) *conversation {
	c.acceptor = append(c.acceptor, event{What: w, End: 1, Began: began, Done: began + 5})
	return c
}

// heard is the truth when that was said, in either order.
func (c *conversation) heard(t *testing.T, acceptorFirst bool) *truth {
	t.Helper()
	scale := func(events []event) *report {
		r := &report{Told: 1000 * instant(time.Millisecond)}
		for _, e := range events {
			e.Began *= instant(time.Millisecond)
			e.Done *= instant(time.Millisecond)
			r.Events = append(r.Events, e)
		}
		return r
	}
	truth := newTruth(2)
	hear := []func(){
		func() { truth.hear(0, opening, scale(c.opener)) },
		func() { truth.hear(1, serving, scale(c.acceptor)) },
	}
	if acceptorFirst {
		slices.Reverse(hear)
	}
	for _, f := range hear {
		f()
	}
	if err := errors.Join(truth.err, truth.pair()); err != nil {
		t.Fatal(err)
	}
	return truth
}

// When an end is certainly there, certainly established, and possibly there. All
// times are in milliseconds.
func TestLife(t *testing.T) {
	const forever = 1 << 30
	type span struct{ from, to instant }
	tests := map[string]struct {
		said             *conversation
		opener, acceptor []span // lives, is established, may live
	}{
		"open": {
			say(),
			[]span{{20, forever}, {20, forever}, {10, forever}},
			[]span{{30, forever}, {30, forever}, {10, forever}},
		},
		"reset by the opener, which the acceptor sees later": {
			say().openerDoes(aborted, 100).acceptorDoes(aborted, 200),
			[]span{{20, 100}, {20, 100}, {10, 105}},
			[]span{{30, 100}, {30, 100}, {10, 205}},
		},
		"closed by the opener, then by the acceptor": {
			say().openerDoes(closed, 100).acceptorDoes(closed, 200),
			[]span{{20, 100}, {20, 100}, {10, 205 + 5000}},
			[]span{{30, 200}, {30, 100}, {10, 205 + 5000}},
		},
		"half closed by the opener, which then goes over to TIME_WAIT": {
			say().openerDoes(shut, 100).acceptorDoes(closed, 200).openerDoes(closed, 300),
			[]span{{20, 200}, {20, 100}, {10, 305 + 5000}},
			[]span{{30, 200}, {30, 100}, {10, 305 + 5000}},
		},
		"half closed, then reset": {
			say().acceptorDoes(shut, 100).openerDoes(aborted, 200).acceptorDoes(aborted, 300),
			[]span{{20, 200}, {20, 100}, {10, 205}},
			[]span{{30, 200}, {30, 100}, {10, 305}},
		},
		"closed by the opener alone": {
			say().openerDoes(closed, 100),
			[]span{{20, 100}, {20, 100}, {10, forever}},
			[]span{{30, forever}, {30, 100}, {10, forever}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, acceptorFirst := range []bool{false, true} {
				truth := test.said.heard(t, acceptorFirst)
				if len(truth.connections) != 1 {
					t.Fatalf("%d connections, want 1", len(truth.connections))
				}
				opener := truth.connections[0]
				for e, want := range map[*end][]span{opener: test.opener, opener.peer: test.acceptor} {
					for i, is := range []func(from, to instant) bool{e.lives, e.established, func(from, to instant) bool {
						// Of what may be there the span is that of the instants at which it may.
						return e.mayLive(from, from) && e.mayLive(to, to)
					}} {
						w := span{want[i].from * instant(time.Millisecond), want[i].to * instant(time.Millisecond)}
						if !is(w.from, w.to) {
							t.Errorf("opener %v, question %d: no from %v to %v", e.opener, i, want[i].from, want[i].to)
						}
						if is(w.from-1, w.to) || want[i].to != forever && is(w.from, w.to+1) {
							t.Errorf("opener %v, question %d: yes for more than %v to %v", e.opener, i, want[i].from, want[i].to)
						}
					}
				}
				if opener.holder != opening || opener.peer.holder != serving {
					t.Errorf("holders %v and %v", opener.holder, opener.peer.holder)
				}
			}
		})
	}
}

// Connections with the same ends, one after the other, are told apart although
// the holders are not heard at the same time, and although not each is accepted.
func TestSameEnds(t *testing.T) {
	truth := newTruth(2)
	for n := range instant(4) {
		truth.hear(0, opening, &report{Told: 1000, Events: []event{
			{What: opened, End: uint32(n), Local: peer, Remote: server, Began: 100 * n, Done: 100*n + 1},
			{What: aborted, End: uint32(n), Began: 100*n + 50, Done: 100*n + 51},
		}})
	}
	for n := range instant(4) {
		if n == 1 {
			continue // it was reset before
		}
		truth.hear(1, serving, &report{Told: 100*n + 99, Events: []event{{What: accepted, End: uint32(n), Local: server, Remote: peer, Done: 100*n + 10}}})
		if n == 2 {
			if err := truth.pair(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := truth.pair(); err != nil {
		t.Fatal(err)
	}
	for n, e := range truth.connections {
		began := 100 * instant(n)
		if n == 1 {
			if e.peer.holder != nil || e.peer.lives(began+10, began+20) {
				t.Error("the connection that was not accepted has a holder, or lives")
			}
		} else if e.since != began+1 || e.peer.since != began+10 || !e.peer.lives(began+10, began+50) || e.peer.lives(began+10, began+51) {
			t.Errorf("connection %d is opened at %d and accepted at %d", n, e.since, e.peer.since)
		}
	}
	if opened, closed := truth.numbers(); opened != 4 || closed != 4 || len(truth.connections) != 4 {
		t.Errorf("%d connections, %d opened, %d closed, want 4 of each", len(truth.connections), opened, closed)
	}
}

// What was accepted and never opened is an error of the holders.
func TestAcceptedAndNotOpened(t *testing.T) {
	truth := newTruth(1)
	truth.hear(0, serving, &report{Told: 20, Events: []event{{What: accepted, End: 1, Local: server, Remote: peer, Done: 10}}})
	want := "holder-1 has accepted 127.0.0.1:80 - 127.0.0.1:40000, which nobody opened"
	if err := truth.pair(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// What cannot be in an answer any more is forgotten, and nothing else is.
func TestForget(t *testing.T) {
	ms := instant(time.Millisecond)
	truth := say().openerDoes(aborted, 100).acceptorDoes(aborted, 200).heard(t, false)
	truth.forget(205 * ms)
	if len(truth.connections) != 1 || len(truth.byEnds) != 2 {
		t.Fatalf("%d connections, %d ends, want 1, 2 as long as one may be there", len(truth.connections), len(truth.byEnds))
	}
	truth.forget(205*ms + 1)
	if len(truth.connections) != 0 || len(truth.byEnds) != 0 || len(truth.byNumber[0]) != 0 || len(truth.byNumber[1]) != 0 {
		t.Errorf("%d connections, %d ends, want none", len(truth.connections), len(truth.byEnds))
	}
	truth = say().heard(t, false)
	truth.forget(1 << 60)
	if len(truth.connections) != 1 {
		t.Error("a connection that is open has been forgotten")
	}
}
