package rpc

import (
	"bytes"
	"net"
	"sync/atomic"
	"time"
)

// connection is one of the [Connections].
type connection struct {
	net.Conn
	table    *Connections
	acceptor *acceptor
	client   *client // nil: one without a limit

	// gathered, unless it is nil, takes what is written; it is the handler's that writes.
	gathered *bytes.Buffer

	// exchange is that of the handler that runs, over HTTP/1, where there is one at the most.
	exchange *exchange

	// heard is whether a handler has begun with the request that net/http reads or answers now.
	heard atomic.Bool

	// Under the lock of the table.
	surplus     bool // the client has more than it may
	asked       bool // a request has arrived
	multiplexed bool // it was one of HTTP/2
	removed     bool
	requests    int // that have a handler; over HTTP/1 one at the most
	reading     int // of which so many wait for their body,
	writing     int // and so many for the client to take their answer
	// since is when the connection began to wait for its client; while it does, it is in the queue.
	since          time.Time
	queued         bool
	previous, next *connection
}

// hasWaitedForOwn reports whether c has waited for its client for long enough to be closed for another of its connections.
func (c *connection) hasWaitedForOwn() bool {
	atLeast := patience
	if c.asked {
		atLeast = patienceOfOwn
	}
	return c.queued && time.Since(c.since) >= atLeast
}

// hasMore reports whether the client has sent something that net/http has not come to read yet, being between two requests.
func (c *connection) hasMore() bool {
	return c.requests == 0 && !c.heard.Load() && hasUnread(c.Conn)
}

// begin counts a request. surplus is whether the connection is one too many for its client. It is not ok if there is no room
// for another request on it.
func (c *connection) begin(multiplexed bool) (surplus, ok bool) {
	c.heard.Store(true)
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	c.requests++
	c.asked, c.multiplexed = true, multiplexed
	if c.requests > 1 && !c.removed {
		t.load++
	}
	t.settle(c)
	for c.requests > 1 && t.isFull() && !c.removed {
		victim, _ := t.victim()
		if victim == nil {
			break
		}
		t.evict(victim)
	}
	c.surplus = c.surplus && len(c.client.connections) > c.client.limit
	return c.surplus, c.requests == 1 || !t.isFull()
}

// isWanted reports whether the connection should end with the answer under way: others wait for its room, or it is one too
// many for its client.
func (c *connection) isWanted() bool {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	return c.surplus || c.table.waiters > 0
}

// end takes back begin.
func (c *connection) end() {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.requests > 1 && !c.removed {
		t.load--
	}
	c.requests--
	t.settle(c)
}

// idle is told when net/http is done with all requests.
func (c *connection) idle() {
	c.heard.Store(false)
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.settle(c)
}

// wait counts the requests that wait for their body, and those that wait for the client to take their answer.
func (c *connection) wait(reading, writing int) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.reading += reading
	c.writing += writing
	c.table.settle(c)
}

// Close closes the connection.
func (c *connection) Close() error {
	c.table.mu.Lock()
	c.table.remove(c)
	c.table.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite is looked for by net/http, which lets a client read a last answer before it closes the connection.
func (c *connection) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}

// What net/http itself says of a request that it does not understand, and what is said in its place: that the client must
// change something, where it speaks of the server's fault. Over TLS it stays as it is.
var unsupported = []struct{ said, meant string }{
	{"HTTP/1.1 501 ", badRequest + "want no Transfer-Encoding but chunked"},
	{"HTTP/1.1 505 ", badRequest + "want HTTP/1.0 or HTTP/1.1"},
}

const badRequest = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request: "

// Write writes b. What net/http says by itself is given a deadline, which it has not: what handlers say has one of their
// own.
func (c *connection) Write(b []byte) (int, error) {
	if !c.heard.Load() {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // it fails only if the connection has ended
		for _, u := range unsupported {
			if bytes.HasPrefix(b, []byte(u.said)) {
				_, err := c.Conn.Write([]byte(u.meant))
				return len(b), err
			}
		}
	}
	if c.gathered != nil {
		return c.gathered.Write(b)
	}
	return c.Conn.Write(b)
}

// atOnce has what write writes leave in one piece. The error is that of write or of the connection.
func (c *connection) atOnce(write func() (int, error)) (int, error) {
	buffer := c.acceptor.whole.Get().(*bytes.Buffer)
	buffer.Reset()
	defer c.acceptor.whole.Put(buffer)
	c.gathered = buffer
	n, err := write()
	c.gathered = nil
	if buffer.Len() > 0 {
		if _, failed := c.Conn.Write(buffer.Bytes()); err == nil {
			err = failed
		}
	}
	return n, err
}

// resetter returns what closes the connection so that the client has an error of it; nil if there is no such way.
func (c *connection) resetter() func() {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	return func() {
		_ = tcp.SetLinger(0) // it can fail only where the connection has ended in another way
		_ = tcp.Close()
	}
}
