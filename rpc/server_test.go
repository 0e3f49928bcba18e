package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// start serves until the returned function is called, which returns what Serve did.
func start(t *testing.T, s *Server, l net.Listener) (stop func(), ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return cancel, done
}

// send writes a request and leaves the answer to be read.
func send(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestServeLetsRequestsInFlightEnd(t *testing.T) {
	arrived, release := make(chan context.Context), make(chan struct{})
	s := &Server{
		// Longer than the test may take: only the end of the request can end the drain.
		DrainTimeout: time.Hour,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived <- r.Context()
			<-release
			_, _ = io.WriteString(w, "to the end")
		}),
	}
	l := listen(t)
	stop, ended := start(t, s, l)
	conn := send(t, l)
	requestContext := <-arrived
	stop()
	waitForRefusal(t, l)
	if err := requestContext.Err(); err != nil {
		t.Errorf("the request's context while it drains: %v", err)
	}
	select {
	case err := <-ended:
		t.Fatalf("Serve returned %v with a request in flight", err)
	default:
	}
	close(release)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "to the end" || !response.Close {
		t.Errorf("body %q, close %t, error %v", body, response.Close, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// waitForRefusal returns when nobody accepts on l any more.
func waitForRefusal(t *testing.T, l net.Listener) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestServeCancelsRequestsThatDoNotEnd(t *testing.T) {
	arrived := make(chan struct{})
	s := &Server{
		DrainTimeout: time.Millisecond,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		}),
	}
	l := listen(t)
	stop, ended := start(t, s, l)
	conn := send(t, l)
	<-arrived
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("answer %q, want a closed connection", got)
	}
}

func TestServeReportsARequestThatIgnoresItsContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := &Server{
		DrainTimeout: time.Millisecond,
		closeTimeout: time.Millisecond,
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(arrived)
			<-release
		}),
	}
	l := listen(t)
	stop, ended := start(t, s, l)
	send(t, l)
	<-arrived
	stop()
	err := <-ended
	close(release)
	want := "stop serving " + l.Addr().String() + ": a request is still running 1ms after it was cancelled"
	if err == nil || err.Error() != want {
		t.Errorf("Serve: %v, want %s", err, want)
	}
}

func TestServeClosesIdleConnections(t *testing.T) {
	s := &Server{DrainTimeout: time.Hour, Handler: http.NotFoundHandler()}
	l := listen(t)
	stop, ended := start(t, s, l)
	conn := send(t, l)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != 404 {
		t.Fatalf("response %v, error %v", response, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	l := listen(t)
	_, ended := start(t, &Server{Handler: http.NotFoundHandler()}, l)
	l.Close()
	err := <-ended
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "accept connections on "+l.Addr().String()+": ") {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeWithAContextThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l := listen(t)
	if err := (&Server{Handler: http.NotFoundHandler()}).Serve(ctx, l); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after Serve: %v, want a closed listener", err)
	}
}

func TestTheServersOwnWordsAreLoggedForDebugging(t *testing.T) {
	var log bytes.Buffer
	if _, err := (debugWriter{zerolog.New(&log)}).Write([]byte("http: superfluous call\n")); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"level": "debug", "message": "net/http has something to say", "said": "http: superfluous call"}}
	if diff := cmp.Diff(want, logLines(t, log.String())); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// OPTIONS * is a request like any other: net/http does not answer it past the handler's rules.
func TestServeHandsOnEveryRequest(t *testing.T) {
	asked := make(chan string, 1)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI
		w.WriteHeader(http.StatusTeapot)
	})}
	l := listen(t)
	stop, ended := start(t, s, l)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	conn.Close()
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 418 ") {
		t.Errorf("answer %q, %v, want the handler's 418", answer, err)
	}
	select {
	case got := <-asked:
		if got != "OPTIONS *" {
			t.Errorf("asked %q", got)
		}
	default:
		t.Error("the handler was not asked")
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
