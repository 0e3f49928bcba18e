//go:build linux

package churn

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// client asks the daemon. It has one connection to it, of which it knows the
// truth too. It is not net/http's, which on a busy machine opens another one.
type client struct {
	conn  net.Conn
	lines *bufio.Reader
	url   string
	// own are the client's end and the daemon's.
	own []*end
	buf bytes.Buffer
}

// requestTimeout is how long an answer may take.
const requestTimeout = time.Minute

// dial connects to the daemon, which is in a namespace.
func dial(ctx context.Context, n *namespace, d *daemon) (*client, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	self := &process{pid: int32(os.Getpid()), name: strings.TrimSpace(string(comm))}
	c := &client{url: d.url}
	begun := now()
	err = n.do(func() (err error) {
		c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(d.url, "http://"))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the daemon: %w", err)
	}
	c.lines = bufio.NewReader(c.conn)
	here := &end{opener: true, holder: self, begun: begun, since: now(), shut: never, closing: never, left: never}
	here.ends = ends{addrPort(c.conn.LocalAddr()), addrPort(c.conn.RemoteAddr())}
	// When the daemon accepts it is not known.
	there := &end{ends: here.mirrored(), holder: &d.process, begun: begun, since: never, shut: never, closing: never, left: never}
	here.peer, there.peer = there, here
	c.own = []*end{here, there}
	return c, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// ask asks the daemon. number is that of the request.
func (c *client) ask(ctx context.Context, q *query, number int) (*answer, error) {
	method := http.MethodGet
	var body io.Reader
	if q.call != "" {
		method, body = http.MethodPost, strings.NewReader(q.call)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+q.path, body)
	if err != nil {
		return nil, err
	}
	a := &answer{query: q, number: number, own: c.own, from: now()}
	if err := c.do(request); err != nil {
		return nil, fmt.Errorf("%s: %w", q.name, err)
	}
	a.to = now()
	if there := c.own[1]; there.since == never {
		there.since = a.to // it was accepted, or it would not have been answered
	}
	if a.records, err = q.read(c.buf.Bytes()); err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", q.name, err)
	}
	return a, nil
}

// do reads the body of an answer to c.buf.
func (c *client) do(request *http.Request) error {
	ctx, cancel := context.WithTimeoutCause(request.Context(), requestTimeout, fmt.Errorf("no answer within %s", requestTimeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	err := c.exchange(request)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *client) exchange(request *http.Request) error {
	if err := request.Write(c.conn); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	response, err := http.ReadResponse(c.lines, request)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	defer response.Body.Close()
	c.buf.Reset()
	if _, err := c.buf.ReadFrom(response.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s: %.200s", response.Status, c.buf.Bytes())
	}
	return nil
}

func (c *client) close() { c.conn.Close() }
