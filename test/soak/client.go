//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// What is asked for, over HTTP/1.1 and without compression.
var (
	getConnections = call(`{"jsonrpc":"2.0","id":"0","method":"get_connections"}`)
	getREST        = get("/api/connections")
	getMetrics     = get("/metrics")
	getHealth      = get("/healthz")
)

// call returns the request of a JSON-RPC call.
func call(body string) []byte {
	return fmt.Appendf(nil, "POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// callWith returns the request of a get_connections with parameters.
func callWith(params string) []byte {
	return call(`{"jsonrpc":"2.0","id":"0","method":"get_connections","params":` + params + `}`)
}

// get returns the request of a GET.
func get(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
}

// client keeps one connection to the daemon, and asks on it one thing after the other. It is not net/http's, which opens
// another when the first has ended, and says nothing of it.
type client struct {
	conn  *net.TCPConn
	lines *bufio.Reader
	buf   []byte
}

// requestTimeout is how long an answer may take.
const requestTimeout = 20 * time.Second

// dial connects to the daemon, from an address of this host.
func dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (*client, error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: requestTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return &client{conn: conn.(*net.TCPConn), lines: bufio.NewReaderSize(conn, 4<<10), buf: make([]byte, 64<<10)}, nil
}

// close closes the connection with a reset, so that it is no socket any more.
func (c *client) close() {
	_ = c.conn.SetLinger(0)
	c.conn.Close()
}

// answer is what came back.
type answer struct {
	status int
	size   int64 // of the body, which was read to its end
	last   bool  // the server closes the connection
	body   []byte
}

// errNoAnswer is that of a connection that ended before a byte of the answer came.
var errNoAnswer = errors.New("the connection ended without an answer")

// ask asks, and reads the answer to its last byte. It keeps the body if that is wanted.
func (c *client) ask(request []byte, keep bool) (a answer, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return a, err
	}
	// A server that closes may have answered before.
	_, sendErr := c.conn.Write(request)
	if _, err := c.lines.Peek(1); err != nil {
		return a, fmt.Errorf("%w: %w", errNoAnswer, errors.Join(sendErr, err))
	}
	response, err := http.ReadResponse(c.lines, nil)
	if err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	defer response.Body.Close()
	a = answer{status: response.StatusCode, last: response.Close}
	if keep {
		a.body, err = io.ReadAll(response.Body)
		a.size = int64(len(a.body))
	} else {
		a.size, err = c.discard(response.Body)
	}
	if err != nil {
		return a, fmt.Errorf("read the body of the answer after %d bytes: %w", a.size, err)
	}
	return a, nil
}

// discard reads to the end.
func (c *client) discard(body io.Reader) (n int64, err error) {
	for {
		m, err := body.Read(c.buf)
		n += int64(m)
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}
