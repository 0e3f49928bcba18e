//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// load is how a server did that was asked by some clients.
type load struct {
	answers   int
	perSecond float64
	p50, p99  time.Duration
	size      int           // of the last answer, in bytes
	cpu       time.Duration // of the server, for each answer
}

// crowd is some clients of one server, each with a connection that stays. One
// thread plays them all and waits for what comes first, since a goroutine for
// each costs more than a server that is asked for little.
type crowd struct {
	request []byte
	poll    int // epoll file descriptor
	members map[int32]*member
	looked  func(m *member, answer []byte) error
	events  []unix.EpollEvent

	began time.Time // once each has had its first answer, which is not counted
	until time.Time
	took  []time.Duration
	size  int // of the last answer, in bytes
}

// member is one client.
type member struct {
	fd       int
	local    netip.AddrPort // its end of the connection
	sent     int            // bytes, in the life of the connection
	in, body []byte         // what came of the answer
	asked    time.Time
	answered bool
}

// ask has clients ask a server one request after the other for some time. looked,
// unless it is nil, is given each answer.
func ask(ctx context.Context, address string, clients int, lasting time.Duration, request []byte, looked func(m *member, answer []byte) error) (*load, error) {
	server, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	c := crowd{request: request, poll: poll, looked: looked, members: make(map[int32]*member), events: make([]unix.EpollEvent, clients)}
	defer c.close()
	for range clients {
		if err := c.join(server); err != nil {
			return nil, err
		}
	}
	for _, m := range c.members {
		if err := c.send(m, time.Now()); err != nil {
			return nil, err
		}
	}
	if err := c.run(ctx, lasting); err != nil {
		return nil, err
	}
	return &load{
		answers:   len(c.took),
		perSecond: float64(len(c.took)) / lasting.Seconds(),
		p50:       measuring.Percentile(c.took, 50),
		p99:       measuring.Percentile(c.took, 99),
		size:      c.size,
	}, nil
}

// join connects one more member.
func (c *crowd) join(server netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	m := &member{fd: fd}
	c.members[int32(fd)] = m
	to := unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}
	if err := uninterrupted(func() error { return unix.Connect(fd, &to) }); err != nil {
		return fmt.Errorf("connect to %s: %w", server, err)
	}
	from, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("ask for the port: %w", err)
	}
	local := from.(*unix.SockaddrInet4)
	m.local = netip.AddrPortFrom(netip.AddrFrom4(local.Addr), uint16(local.Port))
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(c.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("wait for a socket: %w", err)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// send asks. The request is short enough for any send buffer.
func (c *crowd) send(m *member, now time.Time) error {
	n, err := unix.Write(m.fd, c.request)
	m.sent += n
	m.in, m.asked = m.in[:0], now
	if err != nil || n != len(c.request) {
		return fmt.Errorf("send a request: %d bytes of %d: %w", n, len(c.request), err)
	}
	return nil
}

// run takes answers and asks again, until it has lasted long enough and nobody
// waits for an answer any more: the server must not be busy with this load when
// it is put under the next.
func (c *crowd) run(ctx context.Context, lasting time.Duration) error {
	first, last := 0, 0 // who have had their first answer, and their last
	for {
		n, err := unix.EpollWait(c.poll, c.events, int(requestTimeout.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for answers: %w", err)
		case n == 0:
			return fmt.Errorf("no answer within %s", requestTimeout)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		for _, event := range c.events[:n] {
			m := c.members[event.Fd]
			whole, err := m.receive()
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
			now := time.Now()
			c.size = len(m.body)
			if c.looked != nil {
				if err := c.looked(m, m.body); err != nil {
					return err
				}
			}
			switch {
			case !m.answered:
				m.answered = true
				if first++; first == len(c.members) {
					c.began, c.until = now, now.Add(lasting)
				}
			case c.began.IsZero() || m.asked.Before(c.began):
			case now.After(c.until):
				if last++; last == len(c.members) {
					return nil
				}
				continue
			default:
				c.took = append(c.took, now.Sub(m.asked))
			}
			if err := c.send(m, time.Now()); err != nil {
				return err
			}
		}
	}
}

// receive reads what has come, and reports whether the answer is whole; body is
// then its body.
func (m *member) receive() (whole bool, err error) {
	m.in = slices.Grow(m.in, 64<<10)
	n, err := unix.Read(m.fd, m.in[len(m.in):cap(m.in)])
	switch {
	case errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read an answer: %w", err)
	case n == 0:
		return false, errors.New("the server has closed a connection")
	}
	m.in = m.in[:len(m.in)+n]
	m.body, whole, err = appendBody(m.body[:0], m.in)
	return whole, err
}

// close closes the connections with a reset, so that they are no sockets any
// more.
func (c *crowd) close() {
	for _, m := range c.members {
		_ = unix.SetsockoptLinger(m.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(m.fd)
	}
	unix.Close(c.poll)
}
