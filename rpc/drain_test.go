package rpc

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who has a connection when the server is told to stop may bring one more request. What is silent for half a second then is
// closed, and what is being answered goes on.
func TestTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		h := newHeld()
		h.release = make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		var ended time.Duration
		go func() {
			if err := (&Server{Handler: h}).Serve(ctx, p); err != nil {
				t.Errorf("Serve: %v", err)
			}
			ended = time.Since(p.began)
		}()
		idle, next, busy, silent, partial := p.dial("192.0.2.1:1").read(), p.dial("192.0.2.1:2").read(), p.dial("192.0.2.1:3").read(), p.dial("192.0.2.1:4").read(), p.dial("192.0.2.1:5").read()
		idle.send(getRoot)
		next.send(getRoot)
		busy.send(getHeld)
		partial.send("GET / HTTP/1.1\r\n")
		time.Sleep(time.Second)
		stop()
		time.Sleep(lastWord - time.Nanosecond)
		next.send(getRoot)
		if text, at := next.got(); strings.Count(text, "HTTP/1.1 204 No Content\r\n") != 2 || strings.Count(text, "Connection: close\r\n") != 1 || at != time.Second+lastWord-time.Nanosecond {
			t.Errorf("the last request was answered with %q at %v", text, at)
		}
		wantOpen(t, "before the half second is over", []bool{true, true, true, true}, idle, busy, silent, partial)
		time.Sleep(time.Nanosecond)
		wantOpen(t, "after the half second", []bool{false, true, false, false}, idle, busy, silent, partial)
		time.Sleep(time.Second)
		close(h.release)
		if text, _ := busy.got(); busy.status() != "204" || !strings.Contains(text, "Connection: close\r\n") {
			t.Errorf("what was being answered: %q", text)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if want := 2*time.Second + lastWord; ended < want || ended > want+500*time.Millisecond {
			t.Errorf("Serve ended at %v, want %v", ended, want)
		}
		time.Sleep(time.Hour)
	})
}

// Clients that hold requests open do not hold the end up, whatever they send meanwhile.
func TestTheEndWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- (&Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}).Serve(ctx, p)
		}()
		p.dial("192.0.2.1:1").read().send(getRoot)
		stop()
		began := time.Now()
		if err := <-ended; err != nil || time.Since(began) != defaultDrainTimeout {
			t.Errorf("Serve: %v after %v, want %v", err, time.Since(began), defaultDrainTimeout)
		}
		time.Sleep(time.Hour)
	})
}

// What has connected when the server is told to stop is answered, though it has not been accepted yet.
func TestTheQueueIsAnswered(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the queue of a listener can be emptied on Linux alone")
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	l := listen(t)
	stop, ended := start(t, &Server{
		Connections: NewConnections(ConnectionLimits{All: 1}),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			<-release
			w.WriteHeader(http.StatusNoContent)
		}),
	}, l)
	conns := []net.Conn{send(t, l)}
	<-arrived
	// One of these waits for room, the others in the queue of the listener.
	for range 4 {
		conns = append(conns, send(t, l))
	}
	stop()
	for range 4 {
		<-arrived
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection was made after the last")
	}
	close(release)
	for i, conn := range conns {
		if got := readStatus(t, conn); got != 204 {
			t.Errorf("connection %d: status %d", i+1, got)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
