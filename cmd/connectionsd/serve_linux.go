package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/docs"
	"github.com/connectionsd/connectionsd/metrics"
	"github.com/connectionsd/connectionsd/rpc"
)

// registeredServices are the names of ports that the system knows (services(5)).
const registeredServices = "/etc/services"

// serve answers requests as o says until ctx is cancelled, which is no error. A command line to copy goes to stdout once the
// daemon answers.
func serve(ctx context.Context, o order) error {
	started := time.Now()
	memory, processors := followMemory(socketsNow()), followProcessors()
	cfg, log := o.config, o.log
	secure, err := readCertificates(cfg, os.Open)
	if err != nil {
		return &usageError{err}
	}
	for _, warning := range cfg.Warnings {
		warn(log, warning)
	}
	user, err := otherUser(cfg)
	if err != nil {
		return &usageError{fmt.Errorf("--user %s: %w", cfg.User, err)}
	}
	supervision, err := newSupervision(log)
	if err != nil {
		return &usageError{fmt.Errorf("WATCHDOG_USEC: %w", err)}
	}
	degraded, err := probe(cfg, log)
	if err != nil {
		return err
	}
	files, err := openFiles()
	if err != nil {
		return err
	}
	limits := connectionLimits(cfg, files, degraded, log)
	owners, err := openOwners(cfg.BPF, degraded, log)
	if err != nil {
		return err
	}
	defer owners.close()
	services, err := service.WithRegistered(registeredServices)
	if err != nil {
		log.Warn().Err(err).Msg("ports are called by the built-in names alone")
	}
	engines, err := container.New(container.Options{
		Hosts:   slices.DeleteFunc(slices.Clone(cfg.ContainerAPIs), func(host string) bool { return host == noContainerAPI }),
		Guessed: strings.Join(cfg.ContainerAPIs, ",") == defaultContainerAPIs,
		Log:     log,
	})
	if err != nil {
		return &usageError{fmt.Errorf("--container-api: %w", err)}
	}
	degraded.engines = engines.Problems
	dumps := &dumpHealth{degraded: degraded, log: log, now: time.Now}
	measured := metrics.New(time.Now)
	host, err := collector.NewHost(collector.HostOptions{
		NetNS: cfg.NetNS, Owners: owners.finder, Services: services, CommandLines: cfg.CommandLines, Engines: engines.Current,
		OnDumpError:   dumps.failed,
		OnDump:        func(sockets int) { memory.dumped(sockets); supervision.dumped(); dumps.made() },
		Observe:       func(d collector.Dump) { measured.Dumped(d); processors.dumped(d) },
		ObserveSample: measured.Sampled,
	})
	if err != nil {
		return err
	}
	listeners, err := openListeners(ctx, cfg, user)
	if err != nil {
		return err
	}
	defer listeners.removeSocket(log)
	told := len(cfg.Warnings)
	cfg.Warnings = listeners.warnings(cfg)
	for _, warning := range cfg.Warnings[told:] {
		warn(log, warning)
	}
	traced, err := newTracing(ctx, os.Getenv, degraded, log)
	if err != nil {
		return errors.Join(&usageError{err}, listeners.close())
	}
	defer traced.close(log)
	sandbox, err := confine(cfg, owners.finder, listeners.made, user, traced, degraded, log)
	if err != nil {
		return errors.Join(err, listeners.close())
	}

	// The collector outlives ctx: the requests in flight still need it while the server drains.
	collecting, stopCollecting := context.WithCancel(context.WithoutCancel(ctx))
	var collectorDone sync.WaitGroup
	collectorDone.Go(func() { makeThreads(); processors.ready.Store(true) })
	collectorDone.Go(func() { host.Run(collecting) })
	collectorDone.Go(func() { engines.Run(collecting) })
	collectorDone.Go(func() { supervision.run(ctx, host) })
	defer func() {
		stopCollecting()
		collectorDone.Wait()
	}()

	info, _ := debug.ReadBuildInfo()
	built := readBuild(version, info)
	log.Info().Str("version", built.version).Strs("addresses", listeners.addresses()).
		Bool("tls", secure != nil).Bool("login", cfg.RPCLogin != rpc.Login{}).Int("access_tokens", len(cfg.AccessTokens)).
		Msg("listening")
	if _, err := fmt.Fprintln(o.stdout, example(listeners.each()[0].Addr(), cfg, secure)); err != nil {
		log.Warn().Err(err).Msg("print the example failed")
	}
	node := &rpc.Node{
		Collector: host, Scope: cfg.Scope, Height: cfg.Height, Version: built.version,
		RPCPort: listeners.tcpPort(),
		Started: started, ProcessStart: process.NewReader("/proc").Started, Now: time.Now,
	}
	open := rpc.NewConnections(limits)
	handler := newHandler(cfg, host, node, services, degraded, measured, traced, measured.Handler(metrics.Options{
		Build:     metrics.Build{Version: built.version, Revision: built.commit, GoVersion: built.goVersion},
		Collector: host, Scope: cfg.Scope, Degraded: degraded.list, Restrictions: sandbox.restrictions(), Connections: open, Log: log,
	}), log)
	shown := new(shownCertificates)
	server := rpc.Server{Handler: handler, Connections: open, Log: log}
	if secure != nil {
		shown.current.Store(secure)
		server.TLS = shown.config()
	}
	again := &reloader{
		read: o.again, started: cfg, running: cfg, log: log, level: o.level, handler: handler, open: open, files: files,
		certificates: shown, listeners: listeners, degraded: degraded, supervision: supervision,
	}
	collectorDone.Go(func() { again.run(ctx, o.hangups) })
	if err := listeners.serve(ctx, server); err != nil {
		return err
	}
	log.Info().Msg("stopped")
	return nil
}

// warn tells one of the warnings of a Config.
func warn(log zerolog.Logger, warning string) {
	log.Warn().Str("warning", warning).Msg("a secret is at risk")
}

// newHandler ties the methods to their paths: those of monerod's JSON-RPC interface, and those that monerod has a path for.
func newHandler(cfg Config, host *collector.Collector, node *rpc.Node, services *service.Table, degraded *degradations, measured *metrics.Metrics, traced *tracing, telling http.Handler, log zerolog.Logger) *rpc.HTTPHandler {
	connections := rpc.GetConnections(host, rpc.ConnectionsOptions{Height: cfg.Height, Scope: cfg.Scope})
	router := rpc.NewRouter(log)
	router.HandleStream("get_connections", connections)
	router.Handle("get_info", node.GetInfo)
	router.Handle("get_version", node.GetVersion)
	router.Handle("rpc.discover", rpc.Discover(docs.OpenRPC()))
	bare := rpc.NewRouter(log)
	bare.HandleStream("get_connections", connections)
	bare.Handle("get_info", node.GetInfo)
	bare.Handle("getinfo", node.GetInfo) // its older name, which monerod still answers to
	bare.Handle("get_net_stats", node.GetNetStats)
	options := rpc.Options{
		Router:      router,
		Bare:        bare,
		Queries:     map[string]rpc.QueryParams{"get_connections": rpc.ConnectionsQuery},
		Connections: rpc.RESTConnections(host, services, cfg.Scope, log),
		OpenAPI:     rpc.Document("application/yaml", docs.OpenAPI()),
		Health:      rpc.Health(),
		Ready:       rpc.Ready(host.LastDump, degraded.list),
		Metrics:     telling,
		Refused:     measured.Refused,
		Answered:    traced.after(measured.Answered),
		Access:      access(cfg),
		Log:         log,
	}
	if cfg.Pprof {
		options.Profiles = profiles()
	}
	return rpc.NewHandler(options)
}

// access is the part of cfg that says who may ask.
func access(cfg Config) rpc.Access {
	return rpc.Access{
		AccessTokens:   cfg.AccessTokens,
		Login:          cfg.RPCLogin,
		AllowedHosts:   cfg.AllowedHosts,
		Origins:        cfg.RPCAccessControlOrigins,
		Rate:           cfg.RateLimit,
		Burst:          cfg.RateBurst,
		TrustedProxies: cfg.TrustedProxies,
		LogEvery:       cfg.AccessLog,
	}
}

// listen opens the TCP port. An error says which flag to change.
func listen(ctx context.Context, cfg Config) (net.Listener, error) {
	address := netip.AddrPortFrom(cfg.RPCBindIP, cfg.RPCBindPort).String()
	var config net.ListenConfig
	config.SetMultipathTCP(false) // Go's default, of which the kernel cannot be told to let no more clients in at the end
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the port is in use (a monerod here would hold 18081): choose another with --rpc-bind-port", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: permission denied: ports below 1024 need CAP_NET_BIND_SERVICE, choose another with --rpc-bind-port", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this host does not have that address: choose another with --rpc-bind-ip", address)
	default:
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
}

// example is a command line that shows this host's connections. Where the daemon listens on all addresses, it names a
// loopback one. Secrets, and what only the client has, are variables of the shell in it.
func example(address net.Addr, cfg Config, secure *certificates) string {
	command, scheme, path := "curl -s", "http", "/json_rpc"
	host := "localhost"
	if at, isTCP := address.(*net.TCPAddr); isTCP {
		host = localAddress(at.AddrPort()).String()
	} else {
		command += " --unix-socket " + quote(address.String())
		secure = nil // the file has its own permissions
	}
	if cfg.RPCLogin != (rpc.Login{}) {
		command += ` --digest -u "$LOGIN"`
	}
	if secure != nil {
		scheme = "https"
		if secure.isSelfSigned() {
			command += " --cacert " + quote(cfg.RPCSSLCertificate)
		}
		if secure.tls.ClientAuth != tls.NoClientCert {
			command += ` --cert "$CERTIFICATE" --key "$KEY"`
		}
	}
	if len(cfg.AccessTokens) > 0 {
		path = "/$TOKEN" + path
	}
	return fmt.Sprintf(`%s %s://%s%s -d '{"jsonrpc":"2.0","id":"0","method":"get_connections"}'`, command, scheme, host, path)
}

// localAddress is where this host reaches what listens at an address.
func localAddress(at netip.AddrPort) netip.AddrPort {
	ip := at.Addr().Unmap()
	switch {
	case !ip.IsUnspecified():
	case ip.Is4():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, at.Port())
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
