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
// truth too.
type client struct {
	conn   net.Conn // and not an http.Client, which ends a connection when it sees fit
	reader *bufio.Reader
	url    string
	daemon *process
	// own are the client's end and the daemon's.
	own []*end
	buf bytes.Buffer
}

// requestTimeout is how long an answer may take.
const requestTimeout = time.Minute

func newClient(n *namespace, url string, daemon *process) (*client, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	self := &process{pid: int32(os.Getpid()), name: strings.TrimSpace(string(comm))}
	conn, begun, err := n.dial(strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	here, there := &end{opener: true, holder: self, begun: begun, since: now()}, &end{begun: begun, since: never, holder: daemon}
	here.ends = ends{addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())}
	there.ends = here.mirrored()
	here.peer, there.peer = there, here
	for _, e := range []*end{here, there} {
		e.shut, e.closing, e.left = never, never, never
	}
	return &client{conn: conn, reader: bufio.NewReader(conn), url: url, daemon: daemon, own: []*end{here, there}}, nil
}

// dial opens a connection from within the namespace, and tells when that was
// begun.
func (n *namespace) dial(address string) (conn net.Conn, begun instant, err error) {
	err = n.do(func() error {
		begun = now()
		conn, err = net.Dial("tcp", address)
		return err
	})
	return conn, begun, err
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
	a := &answer{query: q, number: number, from: now()}
	if err := c.do(request); err != nil {
		return nil, fmt.Errorf("%s: %w", q.name, err)
	}
	a.to = now()
	a.own = c.own
	if daemons := c.own[1]; daemons.since == never {
		// It was accepted, or it would not have been answered: for the next request.
		defer func() { daemons.since = a.to }()
		a.own = []*end{c.own[0], {ends: daemons.ends, holder: daemons.holder, begun: daemons.begun, since: never, shut: never, closing: never, left: never, peer: c.own[0]}}
	}
	if a.records, err = q.read(c.buf.Bytes()); err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", q.name, err)
	}
	return a, nil
}

// do reads the body of an answer to c.buf.
func (c *client) do(request *http.Request) error {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if err := request.Write(c.conn); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	response, err := http.ReadResponse(c.reader, request)
	if err != nil {
		return fmt.Errorf("read the head of the answer: %w", err)
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
