//go:build linux

package main

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// says listens, reads a little from the first that connects, says text and closes.
func says(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestAsk(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		want answer
		none bool
		err  string
	}{
		{"whole", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", answer{status: 200, size: 2, body: []byte("{}")}, false, ""},
		{"the last", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", answer{status: 503, last: true}, false, ""},
		{"nothing", "", answer{}, true, "the connection ended without an answer: EOF"},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", answer{status: 200, size: 2, body: []byte("{}")}, false, "read the body of the answer after 2 bytes: unexpected EOF"},
		{"half a head", "HTTP/1.1 200 OK\r\n", answer{}, false, "read the answer: unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := dial(t.Context(), netip.MustParseAddr("127.0.0.2"), says(t, tc.text))
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			got, err := c.ask(getHealth, true)
			if errorText(err) != tc.err || errors.Is(err, errNoAnswer) != tc.none {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if got.status != tc.want.status || got.size != tc.want.size || got.last != tc.want.last || string(got.body) != string(tc.want.body) {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}
