package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/privilege"
	"github.com/connectionsd/connectionsd/rpc"
)

// listeners are where clients come in: at least one.
type listeners struct {
	tcp  []net.Listener
	unix []net.Listener
	made *unixSocket // that of --unix-socket, which is in unix too; nil: none
}

// openListeners opens what cfg says. Sockets that systemd passes (sd_listen_fds(3)) take the place of the TCP port.
// owner, unless it is nil, gets the file of --unix-socket.
func openListeners(ctx context.Context, cfg Config, owner *privilege.User) (all *listeners, err error) {
	all = new(listeners)
	defer func() {
		if err != nil {
			err = errors.Join(err, all.close())
		}
	}()
	passed, err := all.takePassed(cfg)
	if err != nil {
		return all, err
	}
	if !passed && cfg.RPCBindIP.IsValid() {
		listener, err := listen(ctx, cfg)
		if err != nil {
			return all, err
		}
		all.tcp = append(all.tcp, listener)
	}
	if cfg.UnixSocket != "" {
		if all.made, err = listenUnix(ctx, cfg.UnixSocket, owner); err != nil {
			return all, err
		}
		all.unix = append(all.unix, all.made)
	}
	if len(all.each()) == 0 {
		return all, &usageError{errors.New("--rpc-bind-ip none: there is nothing to listen on: want --unix-socket with it, or an IP address")}
	}
	if cfg.Pprof && len(all.unix) == 0 {
		return all, &usageError{errors.New("--pprof: profiles are told on unix sockets alone: want --unix-socket with it")}
	}
	return all, nil
}

// takePassed takes the sockets that systemd passes, if it does.
func (l *listeners) takePassed(cfg Config) (passed bool, err error) {
	for _, file := range activation.Files(true) {
		passed = true
		listener, err := listenerOf(file)
		if err != nil {
			return passed, fmt.Errorf("take the socket %s that systemd passes: %w", file.Name(), err)
		}
		switch at := listener.Addr().(type) {
		case *net.TCPAddr:
			l.tcp = append(l.tcp, sharedListener{listener})
			if !isGuarded(cfg) && !at.IP.IsLoopback() {
				return passed, &usageError{fmt.Errorf("the socket %s that systemd passes listens on %s, which is no loopback address, and no login, "+
					"token or client certificate protects it: want one of them, or --confirm-external-bind", file.Name(), at)}
			}
		case *net.UnixAddr:
			l.unix = append(l.unix, sharedListener{listener})
		}
	}
	return passed, nil
}

// warnings returns those of cfg, and what the addresses add to them that systemd has passed, of which cfg knows nothing.
func (l *listeners) warnings(cfg Config) []string {
	reached := func(listener net.Listener) bool { return !listener.Addr().(*net.TCPAddr).IP.IsLoopback() }
	if !isInClear(&cfg) || !slices.ContainsFunc(l.tcp, reached) || slices.Contains(cfg.Warnings, inClear) {
		return cfg.Warnings
	}
	return append(slices.Clone(cfg.Warnings), inClear)
}

// sharedListener listens on a socket that systemd keeps, for the next daemon too. It is nothing but a net.Listener: what the
// server does to the socket of its own at the end, so that no client comes in too late, would last. Here who comes waits.
type sharedListener struct{ net.Listener }

// listenerOf makes a listener of a file, which it closes.
func listenerOf(file *os.File) (net.Listener, error) {
	defer file.Close() // FileListener makes a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	accepts := 0
	raw, err := listener.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { accepts, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN) })
	}
	if err == nil && accepts == 0 {
		err = errors.New("it is not one that listens: want ListenStream= in the socket unit")
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// isGuarded reports whether other hosts may be listened to.
func isGuarded(cfg Config) bool {
	return cfg.ConfirmExternalBind || hasSecret(&cfg) || cfg.RPCSSLCACertificates != ""
}

// each returns all of them, those of TCP first.
func (l *listeners) each() []net.Listener {
	return append(append([]net.Listener(nil), l.tcp...), l.unix...)
}

// addresses are those of each.
func (l *listeners) addresses() []string {
	var all []string
	for _, listener := range l.each() {
		all = append(all, listener.Addr().String())
	}
	return all
}

// serve answers the clients of each until ctx is cancelled or one of them fails, which ends the others. TLS is for those of
// TCP: the file of a unix socket has its own permissions.
func (l *listeners) serve(ctx context.Context, server rpc.Server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plain := server
	plain.TLS = nil
	ended := make(chan error)
	start := func(server *rpc.Server, listener net.Listener) {
		go func() { ended <- server.Serve(ctx, listener) }()
	}
	for _, listener := range l.tcp {
		start(&server, listener)
	}
	for _, listener := range l.unix {
		start(&plain, listener)
	}
	var errs []error
	for range l.each() {
		err := <-ended
		if err != nil {
			cancel()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tcpPort is the port of the first TCP listener, 0 if there is none.
func (l *listeners) tcpPort() uint16 {
	if len(l.tcp) == 0 {
		return 0
	}
	return l.tcp[0].Addr().(*net.TCPAddr).AddrPort().Port()
}

// close closes them all.
func (l *listeners) close() error {
	var errs []error
	for _, listener := range l.each() {
		errs = append(errs, listener.Close())
	}
	if l.made != nil {
		errs = append(errs, l.made.remove())
	}
	return errors.Join(errs...)
}

// removeSocket removes the file of --unix-socket, after the end of its listener.
func (l *listeners) removeSocket(log zerolog.Logger) {
	if l.made == nil {
		return
	}
	if err := l.made.remove(); err != nil {
		log.Warn().Err(err).Msg("the socket file stays behind; the next start replaces it")
	}
}
