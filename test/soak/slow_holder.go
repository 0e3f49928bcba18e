//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// slowCommand is the first argument of the process that is the slow clients.
const slowCommand = "hold-slow"

// The slow clients have so many addresses, so that none has as many connections as a client may have.
const (
	slowAddresses = 40
	maxSlow       = 500 * slowAddresses
)

// What a slow client does once it has connected.
const (
	saysNothing      = iota
	sendsHalfHeaders // and then a byte a second
	sendsHalfBody    // and then a byte a second
	keepsIdle        // after one answer
	doesNotRead      // an answer, through a small window
	slowKinds
)

// kindOf returns what client i does: of each twenty one does not read, and the others are of the other kinds by turns.
func kindOf(i int) int {
	if i%20 == 0 {
		return doesNotRead
	}
	return i % doesNotRead
}

// openings are what the slow clients say at first.
func openings() [slowKinds][]byte {
	return [slowKinds][]byte{
		sendsHalfHeaders: []byte("POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
		sendsHalfBody:    []byte("POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"jsonrpc\":\""),
		keepsIdle:        getHealth,
		doesNotRead:      getConnections,
	}
}

// slowNews is what the process tells.
type slowNews struct {
	Held   int // connections that are open now
	Opened int // in all
	Closed int // by the daemon
	Failed int // to open
	Tried  int // clients that have tried at least once
}

// slowClient is one of them.
type slowClient struct {
	kind  int
	fd    int // -1: none
	open  bool
	since time.Time
	tried bool
}

// crowd is all of them. One thread plays them.
type crowd struct {
	server   unix.SockaddrInet4
	openings [slowKinds][]byte
	again    time.Duration
	poll     int
	clients  []slowClient
	byFD     map[int32]int
	away     []leave // in the order of their return
	news     slowNews
	buf      []byte
}

// leave is the time for which a client has no connection.
type leave struct {
	client int
	until  time.Time
}

// patienceOfReaders is after how long who does not read sees that nothing comes of it: that the daemon has closed its end
// cannot get through to it.
const patienceOfReaders = 15 * time.Second

// holdSlow is the process that is the slow clients.
func holdSlow(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(slowCommand, flag.ContinueOnError)
	server := flags.String("server", "", "")
	count := flags.Int("clients", 0, "")
	ramp := flags.Duration("ramp", 0, "")
	again := flags.Duration("again", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(*server)
	if err != nil {
		return err
	}
	if err := allowFiles(uint64(*count) + 64); err != nil {
		return err
	}
	ctx, cancel := untilInputEnds(ctx)
	defer cancel()
	c := &crowd{
		server: unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}, openings: openings(), again: *again,
		clients: make([]slowClient, *count), byFD: make(map[int32]int), buf: make([]byte, 16<<10),
	}
	if c.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	began := time.Now()
	for i := range c.clients {
		c.clients[i] = slowClient{kind: kindOf(i), fd: -1}
		c.away = append(c.away, leave{i, began.Add(*ramp * time.Duration(i) / time.Duration(*count))})
	}
	return c.run(ctx)
}

// run plays the clients until ctx is done.
func (c *crowd) run(ctx context.Context) error {
	events := make([]unix.EpollEvent, 512)
	for tick := time.Now().Add(time.Second); ctx.Err() == nil; {
		n, err := unix.EpollWait(c.poll, events, 5)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for sockets: %w", err)
		}
		now := time.Now()
		for _, e := range events[:max(0, n)] {
			c.handle(e, now)
		}
		for len(c.away) > 0 && !now.Before(c.away[0].until) {
			i := c.away[0].client
			c.away = c.away[1:]
			if err := c.connect(i, now); err != nil {
				return err
			}
		}
		if now.After(tick) {
			tick = now.Add(time.Second)
			c.tick(now)
			if err := tell(c.news); err != nil {
				return err
			}
		}
	}
	for _, client := range c.clients {
		if client.fd >= 0 {
			resetAndClose(client.fd)
		}
	}
	return nil
}

// connect begins a connection.
func (c *crowd) connect(i int, now time.Time) error {
	client := &c.clients[i]
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	if !client.tried {
		client.tried = true
		c.news.Tried++
	}
	client.fd, client.open, client.since = fd, false, now
	c.byFD[int32(fd)] = i
	if client.kind == doesNotRead {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 2048)
	}
	from := unix.SockaddrInet4{Addr: clientAddress(slowClients, byte(1+i/20%slowAddresses)).As4()}
	if err := unix.Bind(fd, &from); err != nil {
		return fmt.Errorf("bind to %v: %w", from.Addr, err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}
	if err := unix.EpollCtl(c.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("wait for a socket: %w", err)
	}
	if err := unix.Connect(fd, &c.server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		c.leave(i, now, &c.news.Failed)
	}
	return nil
}

// handle does what an event asks for.
func (c *crowd) handle(e unix.EpollEvent, now time.Time) {
	i, known := c.byFD[e.Fd]
	if !known {
		return
	}
	client := &c.clients[i]
	if !client.open {
		if failed, err := unix.GetsockoptInt(client.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || failed != 0 {
			c.leave(i, now, &c.news.Failed)
			return
		}
		client.open, client.since = true, now
		c.news.Opened++
		c.news.Held++
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: e.Fd}
		if client.kind == doesNotRead {
			event.Events = unix.EPOLLRDHUP
		}
		_ = unix.EpollCtl(c.poll, unix.EPOLL_CTL_MOD, client.fd, &event)
		if opening := c.openings[client.kind]; opening != nil {
			_, _ = unix.Write(client.fd, opening) // that it is closed by now is told by an event
		}
		return
	}
	if e.Events&(unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
		c.leave(i, now, &c.news.Closed)
		return
	}
	if n, err := unix.Read(client.fd, c.buf); n == 0 || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		c.leave(i, now, &c.news.Closed)
	}
}

// leave closes a client's connection, and lets it come again later.
func (c *crowd) leave(i int, now time.Time, counter *int) {
	client := &c.clients[i]
	delete(c.byFD, int32(client.fd))
	resetAndClose(client.fd)
	if client.open {
		c.news.Held--
	}
	client.fd, client.open = -1, false
	*counter++
	c.away = append(c.away, leave{i, now.Add(c.again)})
}

// tick is called once a second.
func (c *crowd) tick(now time.Time) {
	for i := range c.clients {
		client := &c.clients[i]
		switch {
		case !client.open:
		case client.kind == doesNotRead && now.Sub(client.since) > patienceOfReaders:
			c.leave(i, now, &c.news.Closed)
		case client.kind == sendsHalfHeaders || client.kind == sendsHalfBody:
			_, _ = unix.Write(client.fd, []byte("x")) // that it is closed by now is told by an event
		}
	}
}
