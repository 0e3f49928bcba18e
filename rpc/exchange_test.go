package rpc

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// tallied is a listener that counts the writes to its connections.
type tallied struct {
	net.Listener
	writes atomic.Int32
}

type talliedConn struct {
	*net.TCPConn
	writes *atomic.Int32
}

func (l *tallied) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return talliedConn{conn.(*net.TCPConn), &l.writes}, nil
}

func (c talliedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(b)
}

// An answer that is there as a whole leaves in one piece, up to 64 KiB, and each arrives as it is.
func TestAnswersLeaveInOnePiece(t *testing.T) {
	l := &tallied{Listener: listen(t)}
	stop, ended := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			t.Error(err)
		}
		if r.URL.RawQuery == "" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		_, _ = w.Write(bytes.Repeat([]byte{'a' + byte(n%26)}, n))
	})}, l)
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	client := http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		method, path string
		body         int
		writes       int32
	}{
		{"GET", "/0", 0, 1},
		{"GET", "/2048", 2048, 1},
		{"GET", "/2049", 2049, 1},
		{"GET", "/8000", 8000, 1},
		{"GET", "/65536", 65536, 1},
		{"GET", "/65537", 65537, 2},              // what net/http makes of it: its buffer, and the rest
		{"GET", "/8000?without=length", 8000, 2}, // in chunks
		{"HEAD", "/8000", 0, 1},
		{"GET", "/8001", 8001, 1}, // nothing of the ones before is left
	} {
		l.writes.Store(0)
		req, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+l.Addr().String()+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || len(body) != test.body {
			t.Errorf("%s %s: %d bytes, %v, want %d", test.method, test.path, len(body), err, test.body)
		}
		if len(bytes.Trim(body, string(rune('a'+test.body%26)))) > 0 {
			t.Errorf("%s %s: another's bytes", test.method, test.path)
		}
		if writes := l.writes.Load(); writes != test.writes {
			t.Errorf("%s %s: %d writes, want %d", test.method, test.path, writes, test.writes)
		}
	}
}

// Each request of a connection has an exchange of its own, also of those that are sent before the first is answered, and none
// has it any more once its handler has returned.
func TestExchangesOfAConnection(t *testing.T) {
	type seen struct {
		exchange   *exchange
		connection *connection
		path       string
	}
	var all []seen // by one handler at a time
	l := listen(t)
	stop, ended := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connectionKey{}).(*connection)
		for _, before := range all {
			if before.exchange == exchangeOf(r.Context()) {
				t.Errorf("%s has the exchange of %s", r.URL.Path, before.path)
			}
		}
		all = append(all, seen{exchangeOf(r.Context()), c, r.URL.Path})
		if e := exchangeOf(r.Context()); e == nil || e.over || w != http.ResponseWriter(e) {
			t.Errorf("%s: exchange %p, and is answered by %p", r.URL.Path, e, w)
		}
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
	})}, l)
	for _, requests := range []string{"/a /b /c", "/d /panic"} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		sent := ""
		for path := range strings.FieldsSeq(requests) {
			sent += "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // to the end, which a panic makes
		conn.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	paths := ""
	for _, s := range all {
		paths += s.path
		if s.connection.exchange != nil || !s.exchange.over {
			t.Errorf("%s: the connection still has an exchange, over %t", s.path, s.exchange.over)
		}
	}
	if paths != "/a/b/c/d/panic" {
		t.Errorf("handled %s", paths)
	}
}
