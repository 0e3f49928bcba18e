package rpc

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// pipes is a listener within a bubble of synctest: its connections are pipes, from whatever addresses the test says.
type pipes struct {
	began  time.Time
	queue  chan net.Conn
	errs   chan error // what Accept fails with
	closed chan struct{}
	once   sync.Once
}

// pipeEnd is the server's end of one.
type pipeEnd struct {
	net.Conn
	from   net.Addr
	closed chan struct{}
	once   sync.Once
}

func (e *pipeEnd) RemoteAddr() net.Addr { return e.from }

func (e *pipeEnd) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Conn.Close()
}

func newPipes() *pipes {
	return &pipes{began: time.Now(), queue: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.queue:
		return conn, nil
	case err := <-p.errs:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 18081} }

// peer is a client, which reads all it is sent.
type peer struct {
	net.Conn
	server *pipeEnd
	began  time.Time

	mu    sync.Mutex
	heard bytes.Buffer
	ended time.Duration // when the connection was closed, since began; 0: it is open
}

// dial connects from an address, "" for a client of a unix socket.
func (p *pipes) dial(from string) *peer {
	client, server := net.Pipe()
	var at net.Addr = &net.UnixAddr{Net: "unix"}
	if from != "" {
		at = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))
	}
	c := &peer{Conn: client, server: &pipeEnd{Conn: server, from: at, closed: make(chan struct{})}, began: p.began}
	go func() { p.queue <- c.server }()
	return c
}

// read reads until the connection ends.
func (c *peer) read() *peer {
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			c.mu.Lock()
			c.heard.Write(buf[:n])
			if err != nil {
				c.ended = time.Since(c.began)
				c.mu.Unlock()
				return
			}
			c.mu.Unlock()
		}
	}()
	return c
}

// send sends text, or as much of it as the server reads.
func (c *peer) send(text string) {
	go func() { _, _ = io.WriteString(c, text) }()
	synctest.Wait()
}

// got returns what has been heard, and when the connection was closed.
func (c *peer) got() (string, time.Duration) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard.String(), c.ended
}

// isOpen reports whether the server has not closed the connection.
func (c *peer) isOpen() bool {
	synctest.Wait()
	select {
	case <-c.server.closed:
		return false
	default:
		return true
	}
}

// status is that of the latest answer, "" if there is none.
func (c *peer) status() string {
	text, _ := c.got()
	i := strings.LastIndex(text, "HTTP/1.1 ")
	if i < 0 {
		return ""
	}
	return text[i+len("HTTP/1.1 "):][:3]
}

const getRoot = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// bubble runs a server on pipes in a bubble, and ends it.
func bubble(t *testing.T, limits ConnectionLimits, handler http.Handler, test func(p *pipes, table *Connections)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, table := newPipes(), NewConnections(limits)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		server := &Server{Handler: handler, Connections: table, Log: zerolog.Nop()}
		go func() { ended <- server.Serve(ctx, p) }()
		test(p, table)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if got := table.Open(); got != 0 {
			t.Errorf("%d connections are open after the end", got)
		}
		time.Sleep(time.Hour) // until the clients have noticed
	})
}
