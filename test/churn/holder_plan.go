//go:build linux

package churn

import (
	"container/heap"
	"time"
)

// act is what is done with an end when its time has come.
type act uint8

const (
	abortIt act = iota
	closeIt
	shutIt
	chat
)

// timer is the time of one.
type timer struct {
	at  instant
	end *held
	act act
}

// timers are in the order of container/heap.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	*t = old[:len(old)-1]
	return last
}

func (t *timers) add(x timer) { heap.Push(t, x) }

// How long connections live: most are short, one of sixteen lives for seconds.
const (
	maxShort         = 100 * time.Millisecond
	minLong, maxLong = 500 * time.Millisecond, 3 * time.Second
	oneLongOf        = 16
	oneFINOf         = 8 // the others end with a RST, which leaves no TIME_WAIT
	oneChattyOf      = 16
	chatEvery        = 20 * time.Millisecond
	oneManyOf        = 8 // of chats
)

func (h *holder) life() time.Duration {
	if h.random.IntN(oneLongOf) == 0 {
		return minLong + time.Duration(h.random.Int64N(int64(maxLong-minLong)))
	}
	return time.Duration(h.random.Int64N(int64(maxShort)))
}

// plan says how a new end goes on, if it is this one that decides.
func (h *holder) plan(e *held) {
	at := now().add(h.life())
	switch {
	case e.opener && e.manner == leader:
		// The other does.
	case e.manner == patient, e.manner == leader && h.random.IntN(2) == 0:
		// Both closings send a FIN. The one leaves a socket that has an owner, the
		// other one that has none.
		h.timers.add(timer{at, e, []act{shutIt, closeIt}[h.random.IntN(2)]})
	case h.random.IntN(oneFINOf) == 0:
		h.timers.add(timer{at, e, closeIt})
	default:
		h.timers.add(timer{at, e, abortIt})
		if h.random.IntN(oneChattyOf) == 0 && e.manner == follower {
			h.timers.add(timer{now(), e, chat})
		}
	}
}

// ripen does what is due.
func (h *holder) ripen() error {
	for at := now(); len(h.timers) > 0 && h.timers[0].at <= at; {
		t := heap.Pop(&h.timers).(timer)
		if t.end.fd < 0 {
			continue
		}
		var err error
		switch t.act {
		case abortIt:
			err = h.end(t.end, aborted)
		case closeIt:
			err = h.end(t.end, closed)
		case shutIt:
			err = h.shut(t.end)
		case chat:
			h.talk(t.end)
			h.timers.add(timer{at.add(chatEvery), t.end, chat})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// talk sends a byte or two, and now and then as many as are in flight for a
// while: a dump that reads the counters of a socket between them is the one that
// can take the opener for the acceptor.
func (h *holder) talk(e *held) {
	n := 1
	if h.random.IntN(oneManyOf) == 0 {
		n = 20_000
	}
	send(e, make([]byte, n))
	send(e, make([]byte, 1))
}
