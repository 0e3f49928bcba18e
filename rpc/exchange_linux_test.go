package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// A client that an answer waits for is late, unless it has taken a megabyte a second since the write began.
func TestWhoReadsSteadilyIsNotLate(t *testing.T) {
	client, server := pair(t)
	// So little fits between the two that they cannot be done with it.
	if err := errors.Join(client.(*net.TCPConn).SetReadBuffer(1<<20), server.(*net.TCPConn).SetWriteBuffer(1<<20)); err != nil {
		t.Fatal(err)
	}
	take := func(n int64) {
		t.Helper()
		if _, err := io.CopyN(io.Discard, client, n); err != nil {
			t.Fatal(err)
		}
	}
	const size = 32 << 20
	began, before := time.Now(), deliveryOf(server) // of a connection on which nothing has been sent yet
	e := &exchange{connection: &connection{Conn: server}, waiting: began, first: before, last: before}
	written := make(chan error, 1)
	go func() {
		_, err := server.Write(make([]byte, size))
		written <- err
	}()
	take(8 << 20)
	for d := deliveryOf(server); ; {
		time.Sleep(20 * time.Millisecond)
		last := d
		if d = deliveryOf(server); d == last && !d.whole && d.taken >= 8<<20 {
			break // no more fits between the two
		}
	}
	for _, test := range []struct {
		after time.Duration
		want  time.Duration
	}{
		{100 * time.Millisecond, 0}, // not as late as is asked for
		{time.Second, 0},
		{8 * time.Second, 0},
		{time.Minute, time.Minute}, // what fits between the two was taken too, which is not a megabyte a second
	} {
		if got := e.late(began.Add(test.after), slowReader); got != test.want {
			t.Errorf("after %v it is late by %v, want %v", test.after, got, test.want)
		}
	}
	e.first, e.last, e.hasRead = delivery{}, delivery{}, false // what it had taken is not known
	if got := e.late(began.Add(time.Second), slowReader); got != time.Second {
		t.Errorf("if nothing is known it is late by %v after a second, want a second", got)
	}
	e.took(flushFrom)
	for after, want := range map[time.Duration]time.Duration{pausedReader - 1: 0, pausedReader: pausedReader} {
		if got := e.late(began.Add(after), slowReader); got != want {
			t.Errorf("after %v one that has taken a part before is late by %v, want %v", after, got, want)
		}
	}
	now := deliveryOf(server)
	for _, test := range []struct {
		name    string
		elapsed time.Duration
		before  delivery
		want    bool
	}{
		{"who has taken megabytes since", evictAfter, before, true},
		{"for too long", evictSteady, before, false},
		{"who has taken nothing since", evictAfter, now, false},
		{"if nothing is known", evictAfter, delivery{}, false},
	} {
		o := &outbox{
			request: httptest.NewRequestWithContext(context.WithValue(t.Context(), exchangeKey{}, e), "GET", "/", nil),
			pressed: time.Now().Add(-test.elapsed), before: progress{delivery: test.before},
		}
		if got := o.readsSteadily(); got != test.want {
			t.Errorf("%s is said to read steadily: %t, want %t", test.name, got, test.want)
		}
	}
	take(size - 8<<20)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// That the kernel has room for what is sent to a client is no sign that the client reads.
func TestWhoReadsNothingIsLate(t *testing.T) {
	_, server := pair(t)
	if err := server.(*net.TCPConn).SetWriteBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	before := deliveryOf(server)
	e := &exchange{connection: &connection{Conn: server}, waiting: time.Now(), first: before, last: before}
	if n, err := server.Write(make([]byte, 2*flushFrom)); n != 2*flushFrom || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	e.took(2 * flushFrom)
	if got := e.late(e.waiting.Add(slowReader), slowReader); got != slowReader {
		t.Errorf("it is late by %v, want %v", got, slowReader)
	}
}
