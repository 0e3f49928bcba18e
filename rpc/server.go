package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// What a client may take of the daemon's time and memory.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 16 << 10
)

const (
	defaultDrainTimeout = 4 * time.Second
	defaultCloseTimeout = time.Second
)

// A Server runs a handler on a listener until it is told to stop.
type Server struct {
	Handler http.Handler

	// TLS, unless it is nil, makes the Server speak HTTP over TLS only, with HTTP/2 for the clients that want it. It has
	// the certificate.
	TLS *tls.Config

	// Log gets, at debug level, what net/http has to say of its connections.
	Log zerolog.Logger

	// DrainTimeout is how long requests may take to end once the Server is told to stop. 0 is 4 seconds.
	DrainTimeout time.Duration

	// closeTimeout is how long handlers may take to return once their contexts are cancelled. 0 is 1 second.
	closeTimeout time.Duration

	// handshakeTimeout is how long a TLS handshake may take, and then the headers of a request. 0 is 5 seconds.
	handshakeTimeout time.Duration
}

// Serve answers the connections of l until ctx is cancelled. Then it accepts no more, lets the requests in flight end
// for DrainTimeout, cancels the contexts of those that do not and closes their connections. It returns nil once all of
// that is over and none of its goroutines is left. It is an error if l fails, or if a handler does not return although
// its context is cancelled.
//
// Serve closes l in any case. A connection that a handler has hijacked is the handler's own to end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	// The requests in flight must outlive ctx.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var connections sync.WaitGroup
	var requests inFlight
	server := &http.Server{
		Handler:           requests.counted(s.Handler),
		TLSConfig:         s.TLS,
		ReadHeaderTimeout: orDefault(s.handshakeTimeout, readHeaderTimeout),
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// net/http would answer OPTIONS * by itself, past the token, the rate limit and the Host check.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     stdlog.New(debugWriter{s.Log}, "", 0),
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // called by the accepting goroutine, so all are counted when it has ended
				connections.Add(1)
			case http.StateClosed, http.StateHijacked:
				connections.Done()
			}
		},
	}
	accepting := make(chan error, 1)
	go func() {
		if s.TLS != nil {
			accepting <- server.ServeTLS(l, "", "")
		} else {
			accepting <- server.Serve(l)
		}
	}()

	var failure error
	select {
	case err := <-accepting:
		failure = fmt.Errorf("accept connections on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancelDrain := context.WithTimeout(context.WithoutCancel(ctx), orDefault(s.DrainTimeout, defaultDrainTimeout))
	defer cancelDrain()
	if err := server.Shutdown(drain); err != nil {
		// First the connections, so that what a cancelled handler leaves cannot pass for an answer.
		_ = server.Close() // closes what Shutdown would have; whether the client sees it does not matter any more
		cancel()
	}
	if failure == nil {
		<-accepting
	}
	return errors.Join(failure, s.wait(l, &connections, &requests))
}

// wait waits for the goroutines of closed connections and of their requests.
func (s *Server) wait(l net.Listener, connections *sync.WaitGroup, requests *inFlight) error {
	closed := make(chan struct{})
	go func() {
		connections.Wait()
		requests.wait()
		close(closed)
	}()
	timeout := orDefault(s.closeTimeout, defaultCloseTimeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-closed:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop serving %s: a request is still running %s after it was cancelled", l.Addr(), timeout)
	}
}

// inFlight counts requests. Over HTTP/2 each has a goroutine, which can outlive the one of its connection.
type inFlight struct {
	mu       sync.Mutex // so that none begins during wait
	over     bool
	requests sync.WaitGroup
}

// counted counts the requests to next. Those that come after wait are not answered.
func (f *inFlight) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.begin() {
			panic(http.ErrAbortHandler)
		}
		defer f.requests.Done()
		next.ServeHTTP(w, r)
	})
}

func (f *inFlight) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.requests.Add(1)
	}
	return !f.over
}

// wait returns when the last request has ended.
func (f *inFlight) wait() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.requests.Wait()
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// debugWriter logs the lines of a standard logger.
type debugWriter struct{ log zerolog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug().Msg(string(bytes.TrimSpace(line)))
	return len(line), nil
}
