package rpc

import (
	"bytes"
	"context"
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

	// Log gets, at debug level, what net/http has to say of its connections.
	Log zerolog.Logger

	// DrainTimeout is how long requests may take to end once the Server is told to stop. 0 is 4 seconds.
	DrainTimeout time.Duration

	// closeTimeout is how long handlers may take to return once their contexts are cancelled. 0 is 1 second.
	closeTimeout time.Duration
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
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(debugWriter{s.Log}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return base },
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
	go func() { accepting <- server.Serve(l) }()

	var failure error
	select {
	case err := <-accepting:
		failure = fmt.Errorf("accept connections on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancelDrain := context.WithTimeout(context.WithoutCancel(ctx), orDefault(s.DrainTimeout, defaultDrainTimeout))
	defer cancelDrain()
	if err := server.Shutdown(drain); err != nil {
		cancel()
		_ = server.Close() // closes what Shutdown would have; whether the client sees it does not matter any more
	}
	if failure == nil {
		<-accepting
	}
	return errors.Join(failure, s.wait(l, &connections))
}

// wait waits for the goroutines of closed connections.
func (s *Server) wait(l net.Listener, connections *sync.WaitGroup) error {
	closed := make(chan struct{})
	go func() {
		connections.Wait()
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
