package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/rpc"
)

// kind is how often a key may be given, and whether its flag needs a value.
type kind int

const (
	single kind = iota // one value
	list               // any number of values: repeated, separated by commas, or both
	toggle             // one value; the flag alone means true
)

// visibility is who may read the values of a key.
type visibility int

const (
	public visibility = iota
	secret            // nobody: no message repeats one
)

// change is when a new value of a key takes effect.
type change int

const (
	atStart  change = iota
	onHangup        // at SIGHUP too
)

// key is one thing that can be configured: a flag, an environment variable and a key of the configuration file.
type key struct {
	name        string // of the key in the file, and of the flag with -- before it
	kind        kind
	visibility  visibility
	change      change
	placeholder string // for the value, in the help
	byDefault   string // as it would be written down
	usage       string
	field
}

// field is the part of a Config that a key sets.
type field struct {
	// store sets it in c to what settings say (at least one; more only for a list). Its error is a *valueError.
	store func(c *Config, settings []setting) error
	// same reports whether it is the same in both.
	same func(a, b *Config) bool
}

// section is keys that belong together.
type section struct {
	heading string // in the help
	keys    []key
}

// set is store with errors for the user, which have the value that is wrong unless it is a secret. A secret must not be
// empty: a variable that somebody forgot to fill would leave the daemon open.
func (k key) set(c *Config, settings []setting) error {
	for _, s := range settings {
		if k.visibility == secret && s.Value == "" {
			return fmt.Errorf("%s: no value given: want %s", s.Origin, k.placeholder)
		}
	}
	err := k.store(c, settings)
	var wrong *valueError
	switch {
	case !errors.As(err, &wrong):
		return err
	case k.visibility == secret:
		return fmt.Errorf("%s: %w", wrong.origin, wrong.want)
	default:
		return fmt.Errorf("%s %.100q: %w", wrong.origin, wrong.value, wrong.want)
	}
}

// valueError says where a wrong value stands, and what would be right.
type valueError struct {
	origin, value string
	want          error
}

func (e *valueError) Error() string { return e.origin + ": " + e.want.Error() }

// variable returns the name of the environment variable that sets k.
func (k key) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, "-", "_"))
}

// keys returns every key, in the order of the help.
func keys() []key {
	var all []key
	for _, s := range sections() {
		all = append(all, s.keys...)
	}
	return all
}

// sections returns the keys by their sections. All that is known of a key stands in its line here.
func sections() []section {
	return []section{
		{"Where it listens", []key{
			{
				"rpc-bind-ip", single, public, atStart, "IP", "127.0.0.1", "IP address to listen on (none: only on --unix-socket)",
				one(func(c *Config) *netip.Addr { return &c.RPCBindIP }, parseBindIP),
			},
			{
				"rpc-bind-port", single, public, atStart, "PORT", "18081", "TCP port to listen on (0: any free port)",
				one(func(c *Config) *uint16 { return &c.RPCBindPort }, parsePort),
			},
			{
				"unix-socket", single, public, atStart, "PATH", "", "listen on a unix socket too, for its user and group (mode 0660)",
				one(func(c *Config) *string { return &c.UnixSocket }, parseUnixSocket),
			},
			{
				"confirm-external-bind", toggle, public, onHangup, "bool", "false", "allow a --rpc-bind-ip that other hosts can reach without any credentials",
				one(func(c *Config) *bool { return &c.ConfirmExternalBind }, parseBool),
			},
		}},
		{"Who is let in", []key{
			{
				"rpc-login", single, secret, onHangup, "USER:PASSWORD", "", "ask for digest authentication; better set elsewhere than on a command line",
				one(func(c *Config) *rpc.Login { return &c.RPCLogin }, rpc.ParseLogin),
			},
			{
				"rpc-login-file", single, public, onHangup, "FILE", "", "read USER:PASSWORD from the first line of FILE",
				one(func(c *Config) *string { return &c.RPCLoginFile }, parseFile),
			},
			{
				"access-token", list, secret, onHangup, "TOKEN", "", "serve only /TOKEN/... and answer all else with 404; may be repeated",
				each(func(c *Config) *[]rpc.AccessToken { return &c.AccessTokens }, rpc.ParseAccessToken),
			},
			{
				"allowed-host", list, public, onHangup, "NAME", "", "name that clients may use for this host, besides its IP addresses and localhost (*: any)",
				each(func(c *Config) *[]string { return &c.AllowedHosts }, rpc.ParseHost),
			},
			{
				"rpc-access-control-origins", list, public, onHangup, "ORIGIN", "", "origins whose web pages may read answers (*: any)",
				each(func(c *Config) *[]string { return &c.RPCAccessControlOrigins }, rpc.ParseOrigin),
			},
		}},
		{"TLS", []key{
			{
				"rpc-ssl-certificate", single, public, onHangup, "FILE", "", "serve HTTPS with the certificate, and what chains it, in FILE (PEM)",
				one(func(c *Config) *string { return &c.RPCSSLCertificate }, parseFile),
			},
			{
				"rpc-ssl-private-key", single, public, onHangup, "FILE", "", "the private key of --rpc-ssl-certificate (PEM)",
				one(func(c *Config) *string { return &c.RPCSSLPrivateKey }, parseFile),
			},
			{
				"rpc-ssl-ca-certificates", single, public, onHangup, "FILE", "", "let in only clients with a certificate signed by one in FILE (PEM)",
				one(func(c *Config) *string { return &c.RPCSSLCACertificates }, parseFile),
			},
		}},
		{"Limits", []key{
			{
				"rate-limit", single, public, onHangup, "NUMBER", "50", "requests a second allowed to each client (0: no limit)",
				one(func(c *Config) *float64 { return &c.RateLimit }, parseRate),
			},
			{
				"rate-burst", single, public, onHangup, "N", "100", "requests a client may make at once before --rate-limit holds it back",
				one(func(c *Config) *int { return &c.RateBurst }, parseBurst),
			},
			{
				"trusted-proxy", list, public, onHangup, "CIDR", "", "addresses whose X-Forwarded-For names the client; may be repeated",
				each(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parsePrefix),
			},
			{
				"rpc-max-connections", single, public, onHangup, "N", "1000", "connections that may be open at once",
				one(func(c *Config) *int { return &c.RPCMaxConnections }, parseConnections),
			},
			{
				"rpc-max-connections-per-public-ip", single, public, onHangup, "N", "20", "of them those of one client with a public address (0: no limit)",
				one(func(c *Config) *int { return &c.RPCMaxConnectionsPerPublicIP }, parseConnectionsPerIP),
			},
			{
				"rpc-max-connections-per-private-ip", single, public, onHangup, "N", "500", "of them those of one client with a private or loopback address (0: no limit)",
				one(func(c *Config) *int { return &c.RPCMaxConnectionsPerPrivateIP }, parseConnectionsPerIP),
			},
		}},
		{"What it tells", []key{
			{
				"scope", single, public, atStart, "PORT", "0", "be the node that listens on PORT: answer with its connections alone (0: the whole host)",
				one(func(c *Config) *uint16 { return &c.Scope }, parseScope),
			},
			{
				"netns", single, public, atStart, "WHICH", "all", "network namespaces to collect: all, self, or the NAME of one under /run/netns",
				one(func(c *Config) *collector.NetNS { return &c.NetNS }, parseNetNS),
			},
			{
				"bpf", single, public, atStart, "MODE", "auto", "find the owners of sockets by BPF: auto (where it can be had), on or off (by a walk of /proc)",
				one(func(c *Config) *bpfMode { return &c.BPF }, parseBPF),
			},
			{
				"container-api", list, public, atStart, "URL", defaultContainerAPIs, "engines that are asked for the names of containers (none: do not ask)",
				each(func(c *Config) *[]string { return &c.ContainerAPIs }, parseContainerAPI),
			},
			{
				"cmdline", single, public, atStart, "HOW", "redacted", "command lines of listening processes: redacted (without secrets), full or off",
				one(func(c *Config) *process.CommandLines { return &c.CommandLines }, process.ParseCommandLines),
			},
			{
				"height", single, public, atStart, "N", "0", "height placeholder: the chain height told of every peer",
				one(func(c *Config) *uint64 { return &c.Height }, parseHeight),
			},
		}},
		{"Privileges", []key{
			{
				"user", single, public, atStart, "USER[:GROUP]", "", "become USER (name or number) once all is open that takes root",
				one(func(c *Config) *string { return &c.User }, parseUser),
			},
			{
				"sandbox", single, public, atStart, "MODE", "auto", "give up, once all is open, what is not needed any more: auto, or off (to look for a fault)",
				one(func(c *Config) *sandboxMode { return &c.Sandbox }, parseSandbox),
			},
		}},
		{"Log", []key{
			{
				"log-level", single, public, onHangup, "LEVEL", "info", "least level logged: trace, debug, info, warn or error",
				one(func(c *Config) *zerolog.Level { return &c.LogLevel }, parseLogLevel),
			},
			{
				"log-format", single, public, atStart, "FORMAT", "auto", "auto, json or console (auto: console on a terminal, else json)",
				one(func(c *Config) *logFormat { return &c.LogFormat }, parseLogFormat),
			},
			{
				"access-log", single, public, onHangup, "HOW", "off", "log requests: off, all, or one of NUMBER, with all that were answered 5xx",
				one(func(c *Config) *int { return &c.AccessLog }, parseAccessLog),
			},
		}},
		{"To look for a fault", []key{
			{
				"pprof", toggle, public, atStart, "bool", "false", "answer /debug/pprof/ of Go, to those who come by a unix socket alone",
				one(func(c *Config) *bool { return &c.Pprof }, parseBool),
			},
		}},
		{"Configuration", []key{
			{
				configFileKey, single, public, atStart, "FILE", "", "read key=value lines from FILE",
				one(func(c *Config) *string { return &c.ConfigFile }, func(s string) (string, error) { return s, nil }),
			},
		}},
	}
}

// one is the field of a single or toggle, which has one value.
func one[T comparable](of func(*Config) *T, parse func(string) (T, error)) field {
	store := func(c *Config, settings []setting) error {
		s := settings[0]
		v, err := parse(s.Value)
		if err != nil {
			return &valueError{s.Origin, s.Value, err}
		}
		*of(c) = v
		return nil
	}
	return field{store, func(a, b *Config) bool { return *of(a) == *of(b) }}
}

// each is the field of a list; an empty setting adds no value to it.
func each[T comparable](of func(*Config) *[]T, parse func(string) (T, error)) field {
	store := func(c *Config, settings []setting) error {
		var all []T
		for _, s := range settings {
			if s.Value == "" {
				continue
			}
			for item := range strings.SplitSeq(s.Value, ",") {
				item = strings.TrimSpace(item)
				v, err := parse(item)
				if err != nil {
					return &valueError{s.Origin, item, err}
				}
				all = append(all, v)
			}
		}
		*of(c) = all
		return nil
	}
	return field{store, func(a, b *Config) bool { return slices.Equal(*of(a), *of(b)) }}
}
