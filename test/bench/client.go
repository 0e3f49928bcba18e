//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// What is asked for, over HTTP/1.1 and without compression.
const (
	getConnections = `{"jsonrpc":"2.0","id":"0","method":"get_connections"}`
	getVersion     = `{"jsonrpc":"2.0","id":"0","method":"get_version"}`
	apiConnections = "/api/connections"
)

// call returns the request of a JSON-RPC call.
func call(body string) []byte {
	return fmt.Appendf(nil, "POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// callWith returns the request of a get_connections with parameters.
func callWith(params string) []byte {
	return call(getConnections[:len(getConnections)-1] + `,"params":` + params + `}`)
}

// get returns the request of a GET.
func get(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
}

// client keeps one connection to a server, and asks on it one thing after the
// other. It is not net/http's, which has goroutines of its own between the
// connection and who reads.
type client struct {
	conn  net.Conn
	lines *bufio.Reader
	buf   []byte // that answers are read into and thrown away
	whole []byte // that answers are read into and kept
}

// requestTimeout is how long an answer may take.
const requestTimeout = 60 * time.Second

func dial(ctx context.Context, address string) (*client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// What is read past the headers is copied, so that is to be little.
	return &client{conn: conn, lines: bufio.NewReaderSize(conn, 4<<10), buf: make([]byte, 256<<10)}, nil
}

// close closes the connection with a reset, so that it is no socket any more.
func (c *client) close() {
	_ = c.conn.(*net.TCPConn).SetLinger(0)
	c.conn.Close()
}

// skip asks, reads the answer to its last byte and throws it away.
func (c *client) skip(request []byte) error {
	return c.ask(request, func(body io.Reader) error {
		for {
			if _, err := body.Read(c.buf); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// read asks and returns the body of the answer, which is good until the next
// call.
func (c *client) read(request []byte) ([]byte, error) {
	whole := bytes.NewBuffer(c.whole[:0])
	err := c.ask(request, func(body io.Reader) error {
		_, err := whole.ReadFrom(body)
		return err
	})
	c.whole = whole.Bytes()
	return c.whole, err
}

func (c *client) ask(request []byte, take func(io.Reader) error) error {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	response, err := http.ReadResponse(c.lines, nil)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer to %.40q has status %s", request, response.Status)
	}
	if err := take(response.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
