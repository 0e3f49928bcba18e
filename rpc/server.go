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
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// How long a client may take to send a request, and what it may hold. What it may take to read the answer stands beside
// [exchange].
const (
	// readHeaderTimeout is for a TLS handshake too.
	readHeaderTimeout = 5 * time.Second
	// readTimeout is for headers and body: more than 100 KiB a second for the largest body, and a thousand times what a call needs.
	readTimeout = 10 * time.Second
	// idleTimeout is longer than the minute that programs which look again and again leave between two looks.
	idleTimeout = 120 * time.Second
	// maxHeaderBytes is for the request line and the headers. net/http adds 4 KiB over HTTP/1 and 320 bytes over HTTP/2.
	maxHeaderBytes = 16 << 10
)

// What HTTP/2 may hold beyond that. The other bounds are net/http's own: a client that resets streams as fast as it opens
// them never has more handlers than streams and is disconnected once four times as many wait, one that has 10,000
// frames to be answered (pings, settings) and reads none of the answers is disconnected too, and a request's
// continuation frames are counted as its headers.
const (
	// maxStreams is what RFC 9113 recommends at the least. Each counts as a connection, see [ConnectionLimits].
	maxStreams = 100
	// maxUnread is how many bytes a client may send of the bodies of all streams of a connection before handlers read them.
	maxUnread = 64 << 10
)

const (
	defaultDrainTimeout = 4 * time.Second
	defaultCloseTimeout = time.Second
)

// lastWord is how long the clients that have a connection may bring one more request once the Server is told to stop. It
// is answered, and the answer says that it is the last one: to close the connection of a client that is about to use it
// would leave its request without an answer.
const lastWord = 500 * time.Millisecond

// A Server runs a handler on a listener until it is told to stop.
type Server struct {
	Handler http.Handler

	// TLS, unless it is nil, makes the Server speak HTTP over TLS only, with HTTP/2 for the clients that want it. It has
	// the certificate.
	TLS *tls.Config

	// Log gets, at debug level, what net/http has to say of its connections.
	Log zerolog.Logger

	// Connections are counted, and limited, together with those of the other Servers that have the same. nil: they are not
	// limited.
	Connections *Connections

	// DrainTimeout is how long requests may take to end once the Server is told to stop. 0 is 4 seconds.
	DrainTimeout time.Duration

	// closeTimeout is how long handlers may take to return once their contexts are cancelled. 0 is 1 second.
	closeTimeout time.Duration

	// handshakeTimeout is how long a TLS handshake may take, and then the headers of a request. 0 is 5 seconds.
	handshakeTimeout time.Duration
}

// Serve answers the connections of l until ctx is cancelled. Then it takes in who has connected already and no more, answers
// what they ask in the next half second, lets the requests in flight end for DrainTimeout from the beginning, cancels
// the contexts of those that do not and closes their connections. It returns nil once all of that is over and none of its
// goroutines is left. It is an error if l fails, or if a handler does not return although its context is cancelled.
//
// Serve closes l in any case. A connection that a handler has hijacked is the handler's own to end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	table := s.Connections
	if table == nil {
		table = NewConnections(ConnectionLimits{})
	}
	// The requests in flight must outlive ctx.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := &session{timeout: orDefault(s.closeTimeout, defaultCloseTimeout), acceptor: table.acceptor(l, s.Log)}
	server := s.httpServer(base, r)
	accepting := make(chan error, 1)
	go func() {
		if s.TLS != nil {
			accepting <- server.ServeTLS(r.acceptor, "", "")
		} else {
			accepting <- server.Serve(r.acceptor)
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
	r.stopping.Store(true)
	if failure == nil {
		r.acceptor.stop()
		<-accepting
	}
	ended := r.ended()
	r.hear(drain, table, ended)
	if err := server.Shutdown(drain); err != nil {
		// First the connections, so that what a cancelled handler leaves cannot pass for an answer.
		_ = server.Close() // closes what Shutdown would have; whether the client sees it does not matter any more
		cancel()
	}
	return errors.Join(failure, r.wait(ended))
}

// httpServer returns the server of a session.
func (s *Server) httpServer(base context.Context, r *session) *http.Server {
	return &http.Server{
		Handler:           r.requests.counted(exchanges(s.Handler, r.stopping.Load)),
		TLSConfig:         s.TLS,
		ReadHeaderTimeout: orDefault(s.handshakeTimeout, readHeaderTimeout),
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout, // WriteTimeout would begin before the answer is made; see exchange
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: maxUnread,
			MaxReceiveBufferPerStream:     maxUnread,
			WriteByteTimeout:              writeTimeout,
		},
		// net/http would answer OPTIONS * by itself, past the token, the rate limit and the Host check.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     stdlog.New(debugWriter{s.Log}, "", 0),
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  withConnection,
		ConnState: func(conn net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // called by the accepting goroutine, so all are counted when it has ended
				r.connections.Add(1)
			case http.StateIdle:
				connectionOf(conn).idle()
			case http.StateClosed, http.StateHijacked:
				r.connections.Done()
			}
		},
	}
}

// session is one call of Serve.
type session struct {
	acceptor    *acceptor
	timeout     time.Duration // how long handlers may take to return once their contexts are cancelled
	stopping    atomic.Bool
	connections sync.WaitGroup // whose goroutines have not ended
	requests    inFlight
}

// ended returns a channel that is closed when there is no goroutine of a connection left, once none is accepted any more.
func (r *session) ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		r.connections.Wait()
		close(ended)
	}()
	return ended
}

// hear lets the clients say their last word, and then ends the connections that have been silent for as long.
func (r *session) hear(ctx context.Context, table *Connections, ended <-chan struct{}) {
	const step = 10 * time.Millisecond
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if table.endIdle(r.acceptor, lastWord) == 0 {
				return
			}
			timer.Reset(step)
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// wait waits for the goroutines of closed connections and of their requests.
func (r *session) wait(ended <-chan struct{}) error {
	closed := make(chan struct{})
	go func() {
		<-ended
		r.requests.wait()
		close(closed)
	}()
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	select {
	case <-closed:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop serving %s: a request is still running %s after it was cancelled", r.acceptor.Addr(), r.timeout)
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
	w.log.Debug().Bytes("said", bytes.TrimSpace(line)).Msg("net/http has something to say")
	return len(line), nil
}
