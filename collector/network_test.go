//go:build linux

package collector

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
)

// Whoever waits for the network has his turn in a look if something has come, where Go has one processor too: its scheduler
// would look there once nothing else is left to do. What was sent can be on its way for a few looks.
func TestLookAtTheNetwork(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n := newNetwork()
	defer n.close()
	for round := range 3 {
		client, server := pair(t)
		var read atomic.Int32
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for b := make([]byte, 8); ; {
				got, err := server.Read(b)
				if err != nil {
					return
				}
				read.Add(int32(got))
			}
		}()
		n.look() // it waits now
		if got := read.Load(); got != 0 {
			t.Fatalf("round %d: %d bytes are read before any were sent", round, got)
		}
		if _, err := client.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		for looks := 0; looks < 100 && read.Load() == 0; looks++ {
			n.look()
		}
		if got := read.Load(); got != 1 {
			t.Errorf("round %d: %d bytes are read in 100 looks, want 1", round, got)
		}
		server.Close()
		<-ended
	}
}

// Without an eventfd the others have their turn all the same.
func TestLookWithoutEventfd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var n *network
	defer n.close()
	var had atomic.Bool
	go func() { had.Store(true) }()
	for looks := 0; looks < 10 && !had.Load(); looks++ {
		n.look()
	}
	if !had.Load() {
		t.Error("one who had something to do has not had his turn")
	}
}

// pair returns the two ends of a connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// BenchmarkLook is what a look takes that finds nothing.
func BenchmarkLook(b *testing.B) {
	for _, processors := range []int{1, 2} {
		b.Run(fmt.Sprintf("processors=%d", processors), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			n := newNetwork()
			defer n.close()
			b.ReportAllocs()
			for b.Loop() {
				n.look()
			}
		})
	}
}
