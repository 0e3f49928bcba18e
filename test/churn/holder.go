//go:build linux

package churn

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// holderVariable is set, to its name, in the environment of a holder.
const holderVariable = "CONNECTIONSD_CHURN_HOLDER"

// IsHolder reports whether this process is a holder. main, or TestMain, of a
// program that calls Run has to ask first of all, and to call Hold if so: Run
// starts the program again.
func IsHolder() bool { return os.Getenv(holderVariable) != "" }

// Hold is what a holder does. It returns when its standard input ends.
func Hold() error {
	name := os.Getenv(holderVariable)
	if err := hold(name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// flushEvery is how often a holder tells what it did.
const flushEvery = 5 * time.Millisecond

// maxEnds is how many ends a holder has at the most, besides those that are kept
// from the beginning: it opens no more until some are closed.
const maxEnds = 8000

// holder is one, as it sees itself. One thread does everything, so what is told
// up to an instant is all there was.
type holder struct {
	out    *gob.Encoder
	buffer *bufio.Writer
	epoll  int
	random *rand.Rand
	orders orders

	ends      map[int]*held // by descriptor
	listeners map[int]manner
	last      uint32 // number of an end
	timers    timers
	kept      int // to be accepted for good

	report  report
	flushed instant
	// Churn began at began, in which opened connections were made.
	churns bool
	began  instant
	opened int
}

// held is an end of a connection.
type held struct {
	number uint32
	fd     int // -1 once it is closed
	opener bool
	manner manner
	shut   bool
}

func hold(name string) error {
	runtime.LockOSThread() // epoll_wait and connect block it
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	h := &holder{epoll: epoll, ends: make(map[int]*held), listeners: make(map[int]manner)}
	h.buffer = bufio.NewWriterSize(os.Stdout, 64<<10)
	h.out = gob.NewEncoder(h.buffer)
	own, err := h.listen()
	if err != nil {
		return err
	}
	own.PID, own.Name = int32(os.Getpid()), name
	if err := h.out.Encode(own); err != nil {
		return err
	}
	if err := h.buffer.Flush(); err != nil {
		return err
	}
	in := gob.NewDecoder(os.Stdin)
	if err := in.Decode(&h.orders); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	h.random = rand.New(rand.NewPCG(h.orders.Seed, 0))
	h.kept = h.orders.Accept
	if err := h.keep(); err != nil {
		return err
	}
	words := make(chan bool)
	go func() { // it ends with the process
		for {
			var word bool
			if err := in.Decode(&word); err != nil {
				close(words)
				return
			}
			words <- word
		}
	}()
	if err := h.loop(words); err != nil {
		return err
	}
	return h.leave()
}

// loop is the holder's life up to the end of its input.
func (h *holder) loop(words <-chan bool) error {
	ready := false
	for {
		select {
		case word, more := <-words:
			if !more {
				return nil
			}
			h.churns, h.began = word, now()
			if !word {
				h.report.Stopped, h.flushed = true, 0
			}
		default:
		}
		if err := h.openDue(); err != nil {
			return err
		}
		if err := h.ripen(); err != nil {
			return err
		}
		if err := h.wait(time.Millisecond); err != nil {
			return err
		}
		if !ready && h.kept == 0 {
			ready = true
			h.report.Ready, h.flushed = true, 0
		}
		if now().sub(h.flushed) >= flushEvery {
			if err := h.flush(); err != nil {
				return err
			}
		}
	}
}

// keep opens the connections that are kept.
func (h *holder) keep() error {
	for n := range h.orders.Held {
		to := h.orders.Peer.Held[n%len(h.orders.Peer.Held)]
		e, err := h.open(to)
		if err != nil {
			return err
		}
		if n%8 == 0 {
			h.timers.add(timer{now(), e, chat})
		}
		if n%256 == 255 { // the queue of who listens is not to be full
			if err := h.wait(time.Millisecond); err != nil {
				return err
			}
			if err := h.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxBehind is how late connections are opened that could not be in time. Those
// that are later are not opened.
const maxBehind = 500 * time.Millisecond

// openDue opens the connections whose time has come, and not so many that those
// to be accepted wait long.
func (h *holder) openDue() error {
	if !h.churns || h.orders.Rate == 0 {
		return nil
	}
	const most = 16
	due := int(now().sub(h.began).Seconds() * float64(h.orders.Rate))
	if behind := due - h.opened; behind > int(maxBehind.Seconds()*float64(h.orders.Rate)) {
		h.opened = due - int(maxBehind.Seconds()*float64(h.orders.Rate))
	}
	for range min(due-h.opened, most) {
		if len(h.ends) >= maxEnds+h.orders.Held+h.orders.Accept {
			return nil
		}
		to := h.orders.Peer.Churn[h.random.IntN(len(h.orders.Peer.Churn))]
		e, err := h.open(to)
		if err != nil {
			return err
		}
		h.opened++
		h.plan(e)
	}
	return nil
}

// flush tells what was done.
func (h *holder) flush() error {
	h.flushed = now()
	h.report.Told = h.flushed
	err := h.out.Encode(&h.report)
	if err == nil {
		err = h.buffer.Flush()
	}
	h.report.Ready, h.report.Stopped, h.report.Events = false, false, h.report.Events[:0]
	if err != nil {
		return fmt.Errorf("tell what was done: %w", err)
	}
	return nil
}

// leave closes all ends, with a reset, so that nothing is left in TIME_WAIT.
func (h *holder) leave() error {
	for _, e := range h.ends {
		if err := h.end(e, aborted); err != nil {
			return err
		}
	}
	return h.flush()
}
