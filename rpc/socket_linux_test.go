package rpc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := listen(t)
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestUnread(t *testing.T) {
	client, server := pair(t)
	if hasUnread(server) {
		t.Error("there is something to read before anything was sent")
	}
	if _, err := io.WriteString(client, "ab"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for i := range 2 {
		if !hasUnread(server) { // on loopback what is sent has arrived
			t.Errorf("%d bytes were read, and nothing is left", i)
		}
		if _, err := server.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	if _, err := server.Read(b); err != io.EOF {
		t.Fatal(err)
	}
	if hasUnread(server) {
		t.Error("there is something to read behind the end")
	}
}

func TestUnsent(t *testing.T) {
	client, server := pair(t)
	if hasUnsent(server) {
		t.Error("something is unsent before anything was written")
	}
	written, much := 0, bytes.Repeat([]byte("a"), 1<<20)
	for {
		if err := server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := server.Write(much)
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
			break // no more fits between the two
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if !hasUnsent(server) {
		t.Error("nothing is unsent though nobody reads")
	}
	if _, err := io.CopyN(io.Discard, client, int64(written)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); hasUnsent(server) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the last acknowledgement
	}
	if hasUnsent(server) {
		t.Error("something is unsent though all was read")
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	if hasUnread(pipe) || !hasUnsent(pipe) {
		t.Error("of a pipe nothing is known")
	}
}
