package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t testing.TB) (client, server net.Conn) {
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

func TestDelivery(t *testing.T) {
	client, server := pair(t)
	if got, want := deliveryOf(server), (delivery{known: true, whole: true}); got != want {
		t.Errorf("before anything was written: %+v, want %+v", got, want)
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
	if d := deliveryOf(server); !d.known || d.whole || d.taken >= uint64(written) {
		t.Errorf("%+v of %d bytes though nobody reads", d, written)
	}
	if _, err := io.CopyN(io.Discard, client, int64(written)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !deliveryOf(server).whole && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the last acknowledgement
	}
	if got, want := deliveryOf(server), (delivery{known: true, taken: uint64(written), whole: true}); got != want {
		t.Errorf("once all was read: %+v, want %+v", got, want)
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	if hasUnread(pipe) || deliveryOf(pipe) != (delivery{}) {
		t.Error("of a pipe nothing is known")
	}
}

// Whoever has connected before a listener is closed is in the queue that sweep returns, and nobody is reset.
func TestSweepLosesNobody(t *testing.T) {
	for _, network := range []string{"tcp4", "unix"} {
		t.Run(network, func(t *testing.T) {
			const rounds, clients = 20, 8
			for range rounds {
				address := "127.0.0.1:0"
				if network == "unix" {
					address = filepath.Join(t.TempDir(), "s")
				}
				var config net.ListenConfig
				config.SetMultipathTCP(false)
				l, err := config.Listen(t.Context(), network, address)
				if err != nil {
					t.Fatal(err)
				}
				var group sync.WaitGroup
				var connected atomic.Int32
				for range clients {
					group.Go(func() {
						for {
							conn, err := net.DialTimeout(network, l.Addr().String(), 50*time.Millisecond)
							if err != nil {
								return // as who comes too late
							}
							connected.Add(1)
							if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
								t.Error(err)
							}
							if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
								t.Errorf("a client that has connected: %v", err)
							}
							conn.Close()
						}
					})
				}
				for connected.Load() < clients { // some are served before
					conn, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					if _, err := conn.Write([]byte("a")); err != nil {
						t.Fatal(err)
					}
					conn.Close()
				}
				for _, conn := range sweep(l) {
					if _, err := conn.Write([]byte("a")); err != nil {
						t.Errorf("one that was swept: %v", err)
					}
					conn.Close()
				}
				group.Wait()
			}
		})
	}
}

// A sweep ends however many clients connect meanwhile, also where the kernel cannot be told to let no more begin.
func TestSweepEnds(t *testing.T) {
	for _, multipath := range []bool{false, true} {
		var config net.ListenConfig
		config.SetMultipathTCP(multipath)
		l, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		dialed := make(chan struct{}, 1)
		for range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					if conn, err := net.DialTimeout("tcp4", l.Addr().String(), 50*time.Millisecond); err == nil {
						conn.Close()
					}
					select {
					case dialed <- struct{}{}:
					default:
					}
				}
			})
		}
		<-dialed
		began := time.Now()
		for _, conn := range sweep(l) {
			conn.Close()
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("MPTCP %v: the sweep has taken %s", multipath, took)
		}
		stop()
		group.Wait()
	}
}

// deliveryOf is a look at a connection.
func deliveryOf(conn net.Conn) delivery { return new(deliveries).of(conn) }

// BenchmarkDelivery looks at one connection again and again.
func BenchmarkDelivery(b *testing.B) {
	_, conn := pair(b)
	var looks deliveries
	b.ReportAllocs()
	for b.Loop() {
		if d := looks.of(conn); !d.known {
			b.Fatal("nothing is known")
		}
	}
}
