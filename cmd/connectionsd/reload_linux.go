package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/rpc"
)

// reloader reads the configuration again at SIGHUP, and changes of the running daemon what can be changed.
type reloader struct {
	read func() (Config, error)
	// started is the configuration that the daemon was started with, where what takes a restart stands; running is the one of
	// now.
	started, running Config

	log          zerolog.Logger
	level        *logLevel
	handler      *rpc.HTTPHandler
	open         *rpc.Connections
	files        uint64 // that the process may open
	certificates *shownCertificates
	listeners    *listeners
	degraded     *degradations
	supervision  *supervision
}

// run reloads at each of hangups until ctx is done.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			over := r.supervision.reloading()
			r.reload()
			over()
		}
	}
}

// reload changes all that can be changed, or nothing if anything is wrong.
func (r *reloader) reload() {
	next, err := r.read()
	var p plan
	if err == nil {
		p, err = r.plan(next)
	}
	if err != nil {
		r.log.Error().Err(withReason(err)).Msg("the configuration that was read again is wrong: all stays as it was")
		return
	}
	r.level.set(min(r.running.LogLevel, p.config.LogLevel)) // for what follows
	p.config.Warnings = r.listeners.warnings(p.config)
	for _, warning := range p.config.Warnings {
		if !slices.Contains(r.running.Warnings, warning) {
			warn(r.log, warning)
		}
	}
	if p.certificates != nil {
		r.certificates.current.Store(p.certificates)
	}
	r.handler.SetAccess(access(p.config))
	if slices.ContainsFunc(p.changed, isLimit) {
		r.open.SetLimits(connectionLimits(p.config, r.files, r.degraded, r.log))
	}
	r.log.Info().Strs("changed", p.changed).Msg("the configuration was read again")
	if len(p.restart) > 0 {
		r.log.Warn().Strs("keys", p.restart).Msg("some of what has changed takes a restart")
	}
	r.level.set(p.config.LogLevel)
	r.running = p.config
}

// isLimit reports whether a key has a part in the limits of connections.
func isLimit(key string) bool {
	switch key {
	case "rpc-max-connections", "rpc-max-connections-per-public-ip", "rpc-max-connections-per-private-ip", "trusted-proxy":
		return true
	}
	return false
}

// plan is what a reload does.
type plan struct {
	config       Config        // of what can be changed; the rest of it does not count
	certificates *certificates // nil: as they are
	changed      []string      // the keys whose values change now
	restart      []string      // those whose values take a restart
}

// plan returns what it takes to go on by next, or why that cannot be.
func (r *reloader) plan(next Config) (p plan, err error) {
	hadTLS, hasTLS := r.running.RPCSSLCertificate != "", next.RPCSSLCertificate != ""
	p.config = next
	if hadTLS != hasTLS { // which of the two it is was decided when the listeners were opened
		p.config.RPCSSLCertificate, p.config.RPCSSLPrivateKey = r.running.RPCSSLCertificate, r.running.RPCSSLPrivateKey
		p.config.RPCSSLCACertificates = r.running.RPCSSLCACertificates
	}
	for _, k := range keys() {
		switch {
		case k.change == atStart || hadTLS != hasTLS && slices.Contains(tlsKeys(), k.name):
			if !k.same(&r.started, &next) {
				p.restart = append(p.restart, k.name)
			}
		case !k.same(&r.running, &p.config):
			p.changed = append(p.changed, k.name)
		}
	}
	if i := slices.Index(p.changed, "rpc-login"); i >= 0 && next.RPCLoginFile != "" { // it is what that file says
		p.changed = slices.DeleteFunc(p.changed, func(key string) bool { return key == "rpc-login-file" })
		p.changed[i] = "rpc-login-file"
	}
	if hadTLS && hasTLS {
		read, err := readCertificates(p.config, openAgain)
		if err != nil {
			return plan{}, err
		}
		if changed := r.certificates.current.Load().changed(read); len(changed) > 0 {
			p.certificates = read
			for _, key := range changed {
				if !slices.Contains(p.changed, key) {
					p.changed = append(p.changed, key)
				}
			}
		}
	}
	for _, listener := range r.listeners.each() {
		if isExposed(listener, p.config) {
			return plan{}, fmt.Errorf("the daemon listens on %s, which is no loopback address, and no login, token or client certificate "+
				"would protect it any more: want one of them, or --confirm-external-bind", listener.Addr())
		}
	}
	return p, nil
}

// isExposed reports whether other hosts reach what listens without any credentials, and nobody has confirmed that.
func isExposed(listener net.Listener, cfg Config) bool {
	at, isTCP := listener.Addr().(*net.TCPAddr)
	return isTCP && !at.IP.IsLoopback() && !isGuarded(cfg)
}

// withReason says of a file that cannot be read why that may be so, if it could be at the start.
func withReason(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: since its start the daemon is user %d and may read only what is in the directories of the files that it was started with: "+
		"let that user read the file there, or restart the daemon", err, os.Getuid())
}
