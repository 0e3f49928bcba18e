//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// flood is many clients that ask the same, each on a connection that it keeps. Who of them asks is whoever has its answer,
// and when does not depend on the daemon. One thread plays them all.
type flood struct {
	server  unix.SockaddrInet4
	request []byte
	poll    int
	members []*member
	byFD    map[int32]*member
	free    []*member // whoever has been free longest is first: nobody is silent until the daemon closes the connection
	events  []unix.EpollEvent
	buf     []byte

	sent    int
	answers tally // by status
	wrong   tally
}

// member is one client.
type member struct {
	from  [4]byte
	fd    int
	busy  bool // it waits for an answer
	reply reply
}

// at any rate: as soon as there is a client that has its answer.
var atAnyRate = math.Inf(1)

// A hundred connections have one address.
const floodPerAddress = 100

// newFlood connects the clients.
func newFlood(ctx context.Context, to netip.AddrPort, clients int, request []byte) (f *flood, err error) {
	f = &flood{
		server: unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}, request: request, byFD: make(map[int32]*member),
		events: make([]unix.EpollEvent, 256), buf: make([]byte, 256<<10), answers: make(tally), wrong: make(tally),
	}
	if f.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	for i := range clients {
		m := &member{from: clientAddress(floodClients, byte(1+i/floodPerAddress)).As4(), fd: -1}
		if err := f.connect(m); err != nil {
			f.close()
			return nil, err
		}
		f.members, f.free = append(f.members, m), append(f.free, m)
		if ctx.Err() != nil {
			f.close()
			return nil, context.Cause(ctx)
		}
	}
	return f, nil
}

func (f *flood) connect(m *member) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	// It bounds connect(2) too.
	timeout := unix.NsecToTimeval(int64(5 * time.Second))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: m.from}),
	)
	if err == nil {
		err = uninterrupted(func() error { return unix.Connect(fd, &f.server) })
	}
	if err == nil {
		err = unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	m.fd, m.busy = fd, false
	m.reply.reset()
	f.byFD[int32(fd)] = m
	return nil
}

// first calls play on a thread that goes before the daemon, which would take clients that get no processor for clients that
// do not read.
func first(play func() error) error {
	played := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10); err != nil {
			played <- fmt.Errorf("go before the daemon: %w", err)
			return
		}
		played <- play()
	}()
	return <-played
}

// run asks so many times a second, for some time.
func (f *flood) run(ctx context.Context, rate float64, lasting time.Duration) error {
	began := time.Now()
	due := 0.0
	last := began
	for now := began; now.Sub(began) < lasting; now = time.Now() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if now.After(last) {
			due += rate * now.Sub(last).Seconds()
			last = now
		}
		for due >= 1 && len(f.free) > 0 {
			m := f.free[0]
			f.free = f.free[1:]
			f.send(m)
			due--
		}
		due = min(due, float64(len(f.members))) // what nobody was free to ask is not made up for later
		if err := f.wait(1); err != nil {
			return err
		}
	}
	return nil
}

// drain takes the answers that are still to come, for at the most some time.
func (f *flood) drain(ctx context.Context, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		waiting := 0
		for _, m := range f.members {
			if m.busy {
				waiting++
			}
		}
		switch {
		case waiting == 0:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(end):
			f.wrong[fmt.Sprintf("no answer %s after the end", most)] += waiting
			return nil
		}
		if err := f.wait(10); err != nil {
			return err
		}
	}
}

func (f *flood) send(m *member) {
	m.busy = true
	m.reply.reset()
	f.sent++
	if n, err := unix.Write(m.fd, f.request); n != len(f.request) {
		f.fail(m, fmt.Errorf("send: %w", err))
	}
}

// wait waits for answers for so many milliseconds and takes them.
func (f *flood) wait(atMost int) error {
	n, err := unix.EpollWait(f.poll, f.events, atMost)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for _, e := range f.events[:max(0, n)] {
		if m := f.byFD[e.Fd]; m != nil {
			f.receive(m)
		}
	}
	return nil
}

func (f *flood) receive(m *member) {
	n, err := unix.Read(m.fd, f.buf)
	switch {
	case errors.Is(err, unix.EINTR):
		return
	case err != nil:
		f.fail(m, fmt.Errorf("read an answer: %w", err))
		return
	case n == 0 && !m.busy:
		// It was silent for longer than the daemon keeps a connection, or its last answer has said so.
		f.replace(m)
		return
	case n == 0:
		f.fail(m, errors.New("read an answer: EOF"))
		return
	}
	whole, err := m.reply.take(f.buf[:n])
	switch {
	case err != nil:
		f.fail(m, err)
	case whole:
		f.answers[fmt.Sprint(m.reply.status)]++
		m.busy = false
		if m.reply.last {
			f.replace(m)
		}
		f.free = append(f.free, m)
	}
}

// fail counts what went wrong with a request, and connects the client again.
func (f *flood) fail(m *member, err error) {
	f.wrong[shortened(err)]++
	busy := m.busy
	f.replace(m)
	if busy {
		f.free = append(f.free, m)
	}
}

// replace closes the connection of a client and opens another.
func (f *flood) replace(m *member) {
	delete(f.byFD, int32(m.fd))
	resetAndClose(m.fd)
	if err := f.connect(m); err != nil {
		f.wrong[shortened(err)]++
		m.fd = -1 // it cannot ask any more: what it sends fails
	}
}

func (f *flood) close() {
	for _, m := range f.members {
		if m.fd >= 0 {
			resetAndClose(m.fd)
		}
	}
	unix.Close(f.poll)
}
