package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// held answers /held once it is released, and all else at once.
type held struct {
	path    string
	release chan struct{} // made within the bubble
}

func newHeld() *held { return &held{path: "/held"} }

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == h.path {
		<-h.release
	}
	w.WriteHeader(http.StatusNoContent)
}

const getHeld = "GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n"

// open tells which of some clients have a connection.
func open(clients ...*peer) []bool {
	var all []bool
	for _, c := range clients {
		all = append(all, c.isOpen())
	}
	return all
}

func wantOpen(t *testing.T, when string, want []bool, clients ...*peer) {
	t.Helper()
	if diff := cmp.Diff(want, open(clients...)); diff != "" {
		t.Errorf("%s: open connections (-want +got):\n%s", when, diff)
	}
}

// With all connections taken, the one that has waited longest for its client makes room: whatever it waits for, and never
// one on which something is done.
func TestTheLongestWaitingMakesRoom(t *testing.T) {
	const (
		yes, no = true, false
		body    = "POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
	)
	handler := NewHandler(Options{Router: NewRouter(zerolog.Nop()), Connections: answering(1 << 20)})
	bubble(t, ConnectionLimits{All: 6}, handler, func(p *pipes, table *Connections) {
		silent := p.dial("192.0.2.1:1").read()
		time.Sleep(time.Second)
		partial := p.dial("192.0.2.2:1").read()
		partial.send("GET / HTTP/1.1\r\n")
		time.Sleep(time.Second)
		idle := p.dial("192.0.2.3:1").read()
		idle.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
		time.Sleep(time.Second)
		posting := p.dial("192.0.2.4:1").read()
		posting.send(body)
		time.Sleep(time.Second)
		unread := p.dial("192.0.2.5:1")
		unread.send("GET /api/connections HTTP/1.1\r\nHost: localhost\r\n\r\n")
		time.Sleep(100 * time.Millisecond)
		fresh := p.dial("192.0.2.6:1").read()
		all := []*peer{silent, partial, idle, posting, unread, fresh}
		wantOpen(t, "as many as may be", []bool{yes, yes, yes, yes, yes, yes}, all...)
		for i := range all {
			honest := p.dial("198.51.100.1:1").read()
			honest.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			time.Sleep(patience) // the last is not closed sooner
			synctest.Wait()
			if got := honest.status(); got != "404" {
				t.Errorf("after %d are closed: a client gets in and has status %q", i, got)
			}
			want := []bool{yes, yes, yes, yes, yes, yes}
			for j := range i + 1 {
				want[j] = no
			}
			wantOpen(t, fmt.Sprint("new connection ", i+1), want, all...)
			// In its place comes one more that does nothing.
			p.dial("198.51.100.2:1").read()
			synctest.Wait()
		}
		if got := table.Evicted(); got != 6 {
			t.Errorf("%d were closed for others, want 6", got)
		}
		unread.Close()
	})
}

// When something is done on all of them, a new one waits for the first that is answered, and that answer is its
// connection's last.
func TestBusyConnectionsAreNotClosed(t *testing.T) {
	h := newHeld()
	bubble(t, ConnectionLimits{All: 2}, h, func(p *pipes, _ *Connections) {
		h.release = make(chan struct{})
		first, second := p.dial("192.0.2.1:1").read(), p.dial("192.0.2.1:2").read()
		first.send(getHeld)
		second.send(getHeld)
		third := p.dial("192.0.2.2:1").read()
		third.send(getRoot)
		time.Sleep(time.Hour)
		if text, _ := third.got(); text != "" || !first.isOpen() || !second.isOpen() {
			t.Errorf("with two busy connections the third got %q", text)
		}
		h.release <- struct{}{}
		synctest.Wait()
		if got := third.status(); got != "204" {
			t.Errorf("after one answer the third has status %q", got)
		}
		done, other := first, second
		if second.status() != "" {
			done, other = second, first
		}
		if text, ended := done.got(); ended == 0 || !strings.Contains(text, "HTTP/1.1 204 No Content\r\n") || !strings.Contains(text, "Connection: close\r\n") {
			t.Errorf("the answer that made room: %q, ended %v", text, ended)
		}
		h.release <- struct{}{}
		if text, ended := other.got(); ended != 0 || strings.Contains(text, "close") || other.status() != "204" {
			t.Errorf("the other answer: %q, ended %v", text, ended)
		}
	})
}

// A client has as many connections as it may, by its address or network. The one that has been of no use longest goes for a
// new one; if all are of use, the new one is told so.
func TestConnectionsPerClient(t *testing.T) {
	limits := ConnectionLimits{PerPublicIP: 2, PerPrivateIP: 3, Exempt: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}
	for _, test := range []struct {
		name    string
		from    []string // of the clients that are served at once
		surplus string   // who is not, "" if all are
	}{
		{"public", []string{"192.0.2.1:1", "192.0.2.1:2"}, "192.0.2.1:3"},
		{"public, another address", []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"}, ""},
		{"public, one address in two ways", []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:2"}, "192.0.2.1:3"},
		{"IPv6, one network", []string{"[2001:db8::1]:1", "[2001:db8::2]:1"}, "[2001:db8::ffff:1]:1"},
		{"IPv6, another network", []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"}, ""},
		{"loopback", []string{"127.0.0.1:1", "127.0.0.2:1", "127.255.0.1:1"}, "127.9.9.9:1"},
		{"private", []string{"192.168.1.1:1", "192.168.1.1:2", "192.168.1.1:3"}, "192.168.1.1:4"},
		{"unique local", []string{"[fd00::1]:1", "[fd00::2]:1", "[fd00::3]:1"}, "[fd00::4]:1"},
		{"link-local", []string{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", "[fe80::2]:1"}, "[fe80::3%lo]:1"},
		{"exempt", []string{"10.9.1.1:1", "10.9.1.1:2", "10.9.1.1:3", "10.9.1.1:4"}, ""},
		{"no address", []string{"", "", "", ""}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &held{path: "/api/connections"}
			opts := testOptions(io.Discard)
			opts.Connections = h
			var refused []Refusal
			opts.Refused = func(r Refusal) { refused = append(refused, r) }
			bubble(t, limits, NewHandler(opts), func(p *pipes, _ *Connections) {
				h.release = make(chan struct{})
				const call = "GET /api/connections HTTP/1.1\r\nHost: localhost\r\n\r\n"
				var served []*peer
				for _, from := range test.from {
					c := p.dial(from).read()
					c.send(call)
					served = append(served, c)
				}
				if test.surplus != "" {
					c := p.dial(test.surplus).read()
					c.send(call)
					text, ended := c.got()
					for _, want := range []string{"HTTP/1.1 429 Too Many Requests\r\n", "\r\nRetry-After: 1\r\n", "\r\nConnection: close\r\n", `{"error":"Too Many Requests"}`} {
						if !strings.Contains(text, want) {
							t.Errorf("%q is not in the answer to one too many: %q", want, text)
						}
					}
					if ended == 0 && c.isOpen() {
						t.Error("the connection that is one too many stays open")
					}
				}
				close(h.release)
				for i, c := range served {
					if got := c.status(); got != "204" {
						t.Errorf("connection %d from %s has status %q", i+1, test.from[i], got)
					}
				}
				if test.surplus == "" {
					return
				}
				// Some seconds later one of them makes room.
				time.Sleep(patienceOfOwn)
				c := p.dial(test.surplus).read()
				c.send(call)
				closed := 0
				for _, isOpen := range open(served...) {
					if !isOpen {
						closed++
					}
				}
				if got := c.status(); got != "204" || closed != 1 {
					t.Errorf("some seconds later: status %q, %d of the others are closed, want 1", got, closed)
				}
			})
			var want []Refusal
			if test.surplus != "" {
				want = []Refusal{RefusedConnections}
			}
			if diff := cmp.Diff(want, refused); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
		})
	}
}

// A client cannot take its own places with connections that bring nothing.
func TestSilentConnectionsOfAClientMakeRoomSoon(t *testing.T) {
	bubble(t, ConnectionLimits{PerPrivateIP: 2}, newHeld(), func(p *pipes, _ *Connections) {
		first, second := p.dial("127.0.0.1:1").read(), p.dial("127.0.0.1:2").read()
		synctest.Wait()
		time.Sleep(patience)
		third := p.dial("127.0.0.1:3").read()
		third.send(getRoot)
		if third.status() != "204" || first.isOpen() == second.isOpen() {
			t.Errorf("status %q, open %v", third.status(), open(first, second))
		}
	})
}

// One that was too many is served where others have gone in the meantime.
func TestASurplusConnectionIsServedOnceThereIsRoom(t *testing.T) {
	h := newHeld()
	bubble(t, ConnectionLimits{PerPublicIP: 1}, h, func(p *pipes, _ *Connections) {
		h.release = make(chan struct{})
		first := p.dial("192.0.2.1:1").read()
		first.send(getHeld)
		second := p.dial("192.0.2.1:2").read()
		synctest.Wait()
		first.Close()
		close(h.release)
		synctest.Wait()
		second.send(getRoot)
		if text, _ := second.got(); second.status() != "204" || strings.Contains(text, "close") {
			t.Errorf("answer %q", text)
		}
	})
}

// Requests of HTTP/2 count as connections, so that a few connections do not hold many of them.
func TestRequestsOnOneConnectionCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewConnections(ConnectionLimits{All: 4})
		a := table.acceptor(newPipes(), zerolog.Nop())
		admit := func() *connection {
			_, server := net.Pipe()
			return table.admit(server, a)
		}
		idle, busy := admit(), admit()
		time.Sleep(patience)
		var got []bool
		for range 5 {
			_, ok := busy.begin(true)
			got = append(got, ok)
			synctest.Wait()
		}
		// The third request takes the fourth place, the fourth that of the idle connection, and the fifth none.
		if diff := cmp.Diff([]bool{true, true, true, true, false}, got); diff != "" {
			t.Errorf("requests let in (-want +got):\n%s", diff)
		}
		if !idle.removed || table.Open() != 1 || table.load != 5 {
			t.Errorf("idle connection closed: %t; %d open, load %d", idle.removed, table.Open(), table.load)
		}
		for range 5 {
			busy.end()
		}
		if table.load != 1 {
			t.Errorf("load %d after the requests, want 1", table.load)
		}
		busy.Close()
		busy.Close()
		if table.load != 0 || table.Open() != 0 || len(table.clients) != 0 {
			t.Errorf("load %d, %d open, %d clients after the end", table.load, table.Open(), len(table.clients))
		}
	})
}

// Without file descriptors the server goes on: it closes what is of least use, says so once a minute, and tries again.
func TestNoDescriptorsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p, table := newPipes(), NewConnections(ConnectionLimits{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		h := newHeld()
		h.release = make(chan struct{})
		server := &Server{Handler: h, Connections: table, Log: zerolog.New(&log).Level(zerolog.WarnLevel)}
		go func() { ended <- server.Serve(ctx, p) }()
		idle, busy := p.dial("192.0.2.1:1").read(), p.dial("192.0.2.1:3").read()
		busy.send(getHeld)
		synctest.Wait()
		time.Sleep(patience)
		full := &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
		p.errs <- full
		synctest.Wait()
		if idle.isOpen() {
			t.Error("the idle connection stays open")
		}
		close(h.release)
		if got := busy.status(); got != "204" {
			t.Errorf("status %q of the request that was being answered", got)
		}
		for range 100 { // with nothing to close
			p.errs <- full
			synctest.Wait()
			time.Sleep(time.Second) // net/http waits for so long at the most
		}
		for _, passing := range []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EPROTO, syscall.EHOSTUNREACH} {
			p.errs <- &net.OpError{Op: "accept", Net: "tcp", Err: passing}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		c := p.dial("192.0.2.1:2").read()
		c.send(getRoot)
		if got := c.status(); got != "204" {
			t.Errorf("status %q after it has passed", got)
		}
		line := func(connections float64) map[string]any {
			return map[string]any{
				"level": "warn", "error": "accept tcp: too many open files", "connections": connections,
				"message": "no file descriptor is left for a new connection: want a lower --rpc-max-connections or a higher limit of open files",
			}
		}
		if diff := cmp.Diff([]map[string]any{line(1), line(0)}, logLines(t, log.String())); diff != "" {
			t.Errorf("log of 100 seconds (-want +got):\n%s", diff)
		}
		failed := errors.New("the socket is none")
		p.errs <- failed
		if err := <-ended; !errors.Is(err, failed) {
			t.Errorf("Serve: %v, want %v", err, failed)
		}
		cancel()
	})
}

// Limits that are set while connections are open count from then on: for those to come, of clients old and new.
func TestSetLimits(t *testing.T) {
	h := &held{path: "/api/connections"}
	var begun atomic.Int32
	opts := testOptions(io.Discard)
	opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun.Add(1)
		h.ServeHTTP(w, r)
	})
	bubble(t, ConnectionLimits{PerPrivateIP: 2}, NewHandler(opts), func(p *pipes, table *Connections) {
		h.release = make(chan struct{})
		const call = "GET /api/connections HTTP/1.1\r\nHost: localhost\r\n\r\n"
		ask := func(from string) *peer {
			c := p.dial(from).read()
			c.send(call)
			return c
		}
		steps := []struct {
			limits ConnectionLimits
			from   string
			want   string // the status while all others are being answered; "" is being answered too
		}{
			{ConnectionLimits{PerPrivateIP: 2}, "[::1]:1", ""},
			{ConnectionLimits{PerPrivateIP: 2}, "[::1]:2", ""},
			{ConnectionLimits{PerPrivateIP: 2}, "[::1]:3", "429"},
			{ConnectionLimits{PerPrivateIP: 3}, "[::1]:4", ""},
			{ConnectionLimits{PerPrivateIP: 1}, "[::1]:5", "429"},
			{ConnectionLimits{PerPrivateIP: 1}, "192.168.1.1:1", ""},
			{ConnectionLimits{PerPrivateIP: 1}, "192.168.1.1:2", "429"},
			{ConnectionLimits{PerPrivateIP: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("::1/128")}}, "[::1]:6", ""},
			{ConnectionLimits{}, "192.168.1.1:3", ""},
		}
		for i, step := range steps {
			table.SetLimits(step.limits)
			if got := ask(step.from).status(); got != step.want {
				t.Errorf("step %d, from %s: status %q, want %q", i+1, step.from, got, step.want)
			}
		}
		open := table.Open()
		table.SetLimits(ConnectionLimits{All: open})
		before := begun.Load()
		waiting := ask("198.51.100.1:1")
		if got := waiting.status(); got != "" {
			t.Errorf("status %q where all connections are taken, want none", got)
		}
		table.SetLimits(ConnectionLimits{All: open + 2})
		synctest.Wait()
		if got := begun.Load() - before; got != 1 {
			t.Errorf("%d more requests are being answered once there is room, want 1", got)
		}
		close(h.release)
		if got := waiting.status(); got != "204" {
			t.Errorf("status %q at the end, want 204", got)
		}
	})
}
