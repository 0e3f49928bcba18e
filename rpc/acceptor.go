package rpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// complainEvery is how often the log says that there are no file descriptors left.
const complainEvery = time.Minute

// acceptor is a net.Listener whose connections are in the table.
type acceptor struct {
	net.Listener
	table *Connections
	log   zerolog.Logger
	whole sync.Pool // of *bytes.Buffer, for answers that leave in one piece

	stopping   chan struct{} // closed by stop
	swept      bool          // there is no listener any more,
	last       []net.Conn    // but what had connected by then
	complained time.Time
}

func (t *Connections) acceptor(l net.Listener, log zerolog.Logger) *acceptor {
	return &acceptor{
		Listener: l, table: t, log: log, stopping: make(chan struct{}),
		whole: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// Accept returns the next connection once there is room for it. After stop it returns those that have connected before,
// and then [net.ErrClosed].
func (a *acceptor) Accept() (net.Conn, error) {
	for !a.isStopping() {
		conn, err := a.Listener.Accept()
		switch {
		case err == nil:
			return a.table.admit(conn, a), nil
		case a.isStopping():
		case isFull(err):
			made := a.table.makeRoom()
			a.complain(err)
			if !made {
				return nil, err // net/http tries again, and waits longer each time
			}
		case isPassing(err):
			return nil, &passingError{err}
		default:
			return nil, err
		}
	}
	if !a.swept {
		a.swept, a.last = true, sweep(a.Listener)
	}
	if len(a.last) == 0 {
		return nil, net.ErrClosed
	}
	next := a.last[0]
	a.last = a.last[1:]
	return a.table.admit(next, a), nil
}

// stop makes Accept take in what has connected, and then end. It must be called once.
func (a *acceptor) stop() {
	close(a.stopping)
	l, ok := a.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || l.SetDeadline(time.Now()) != nil {
		_ = a.Listener.Close() // it fails only if it was closed before
	}
}

func (a *acceptor) isStopping() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}

// isFull reports whether there are no file descriptors left, of this process or of the host.
func isFull(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

func (a *acceptor) complain(err error) {
	now := time.Now()
	if !a.complained.IsZero() && now.Sub(a.complained) < complainEvery {
		return
	}
	a.complained = now
	a.log.Warn().Err(err).Int("connections", a.table.Open()).
		Msg("no file descriptor is left for a new connection: want a lower --rpc-max-connections or a higher limit of open files")
}

// isPassing reports whether an error of accept(2) is one of a connection, or of a host that is short of memory, and not of
// the listener. net/http knows fewer of them, and would end the server.
func isPassing(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	}, func(passing error) bool { return errors.Is(err, passing) })
}

// passingError is one that net/http waits for to pass.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

// Temporary is what net/http asks.
func (e *passingError) Temporary() bool { return true }

// Timeout makes it a net.Error.
func (e *passingError) Timeout() bool { return false }

// connectionOf returns the connection of the table that conn is, or is in.
func connectionOf(conn net.Conn) *connection {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*connection)
	return c
}

type connectionKey struct{}

// withConnection is for [http.Server.ConnContext].
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, connectionOf(conn))
}
