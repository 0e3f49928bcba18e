package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
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

// key is one thing that can be configured: a flag, an environment variable and a key of the configuration file.
type key struct {
	name        string // of the key in the file, and of the flag with -- before it
	kind        kind
	visibility  visibility
	placeholder string // for the value, in the help
	byDefault   string // as it would be written down
	usage       string
	// store sets the key's field of c to what settings say (at least one; more only for a list). Its error is a *valueError.
	store func(c *Config, settings []setting) error
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

// keys returns every key, in the order of the help. All that is known of a key stands in its line here.
func keys() []key {
	return []key{
		{
			"rpc-bind-ip", single, public, "IP", "127.0.0.1", "IP address to listen on (none: only on --unix-socket)",
			one(func(c *Config) *netip.Addr { return &c.RPCBindIP }, parseBindIP),
		},
		{
			"rpc-bind-port", single, public, "PORT", "18081", "TCP port to listen on (0: any free port)",
			one(func(c *Config) *uint16 { return &c.RPCBindPort }, parsePort),
		},
		{
			"unix-socket", single, public, "PATH", "", "listen on a unix socket too, for its user and group (mode 0660)",
			one(func(c *Config) *string { return &c.UnixSocket }, parseUnixSocket),
		},
		{
			"confirm-external-bind", toggle, public, "bool", "false", "allow a --rpc-bind-ip that other hosts can reach without any credentials",
			one(func(c *Config) *bool { return &c.ConfirmExternalBind }, parseBool),
		},
		{
			"rpc-login", single, secret, "USER:PASSWORD", "", "ask for digest authentication; better set elsewhere than on a command line",
			one(func(c *Config) *rpc.Login { return &c.RPCLogin }, rpc.ParseLogin),
		},
		{
			"rpc-login-file", single, public, "FILE", "", "read USER:PASSWORD from the first line of FILE",
			one(func(c *Config) *string { return &c.RPCLoginFile }, parseFile),
		},
		{
			"access-token", list, secret, "TOKEN", "", "serve only /TOKEN/... and answer all else with 404; may be repeated",
			each(func(c *Config) *[]rpc.AccessToken { return &c.AccessTokens }, rpc.ParseAccessToken),
		},
		{
			"allowed-host", list, public, "NAME", "", "name that clients may use for this host, besides its IP addresses and localhost (*: any)",
			each(func(c *Config) *[]string { return &c.AllowedHosts }, rpc.ParseHost),
		},
		{
			"rpc-access-control-origins", list, public, "ORIGIN", "", "origins whose web pages may read answers (*: any)",
			each(func(c *Config) *[]string { return &c.RPCAccessControlOrigins }, rpc.ParseOrigin),
		},
		{
			"rpc-ssl-certificate", single, public, "FILE", "", "serve HTTPS with the certificate, and what chains it, in FILE (PEM)",
			one(func(c *Config) *string { return &c.RPCSSLCertificate }, parseFile),
		},
		{
			"rpc-ssl-private-key", single, public, "FILE", "", "the private key of --rpc-ssl-certificate (PEM)",
			one(func(c *Config) *string { return &c.RPCSSLPrivateKey }, parseFile),
		},
		{
			"rpc-ssl-ca-certificates", single, public, "FILE", "", "let in only clients with a certificate signed by one in FILE (PEM)",
			one(func(c *Config) *string { return &c.RPCSSLCACertificates }, parseFile),
		},
		{
			"rate-limit", single, public, "NUMBER", "50", "requests a second allowed to each client (0: no limit)",
			one(func(c *Config) *float64 { return &c.RateLimit }, parseRate),
		},
		{
			"rate-burst", single, public, "N", "100", "requests a client may make at once before --rate-limit holds it back",
			one(func(c *Config) *int { return &c.RateBurst }, parseBurst),
		},
		{
			"trusted-proxy", list, public, "CIDR", "", "addresses whose X-Forwarded-For names the client; may be repeated",
			each(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parsePrefix),
		},
		{
			"rpc-max-connections", single, public, "N", "1000", "connections that may be open at once",
			one(func(c *Config) *int { return &c.RPCMaxConnections }, parseConnections),
		},
		{
			"rpc-max-connections-per-public-ip", single, public, "N", "20", "of them those of one client with a public address (0: no limit)",
			one(func(c *Config) *int { return &c.RPCMaxConnectionsPerPublicIP }, parseConnectionsPerIP),
		},
		{
			"rpc-max-connections-per-private-ip", single, public, "N", "500", "of them those of one client with a private or loopback address (0: no limit)",
			one(func(c *Config) *int { return &c.RPCMaxConnectionsPerPrivateIP }, parseConnectionsPerIP),
		},
		{
			"scope", single, public, "PORT", "0", "be the node that listens on PORT: answer with its connections alone (0: the whole host)",
			one(func(c *Config) *uint16 { return &c.Scope }, parseScope),
		},
		{
			"netns", single, public, "WHICH", "all", "network namespaces to collect: all, self, or the NAME of one under /run/netns",
			one(func(c *Config) *collector.NetNS { return &c.NetNS }, parseNetNS),
		},
		{
			"bpf", single, public, "MODE", "auto", "find the owners of sockets by BPF: auto (where it can be had), on or off (by a walk of /proc)",
			one(func(c *Config) *bpfMode { return &c.BPF }, parseBPF),
		},
		{
			"container-api", list, public, "URL", defaultContainerAPIs, "sockets of Docker and Podman, which are asked for the names of containers (none: do not ask)",
			each(func(c *Config) *[]string { return &c.ContainerAPIs }, parseContainerAPI),
		},
		{
			"cmdline", single, public, "HOW", "redacted", "command lines of listening processes: redacted (without secrets), full or off",
			one(func(c *Config) *process.CommandLines { return &c.CommandLines }, process.ParseCommandLines),
		},
		{
			"height", single, public, "N", "0", "height placeholder: the chain height told of every peer",
			one(func(c *Config) *uint64 { return &c.Height }, parseHeight),
		},
		{
			"user", single, public, "USER[:GROUP]", "", "become USER (name or number) once all is open that takes root",
			one(func(c *Config) *string { return &c.User }, parseUser),
		},
		{
			"sandbox", single, public, "MODE", "auto", "give up, once all is open, what is not needed any more: auto, or off (to look for a fault)",
			one(func(c *Config) *sandboxMode { return &c.Sandbox }, parseSandbox),
		},
		{
			"log-level", single, public, "LEVEL", "info", "least level logged: trace, debug, info, warn or error",
			one(func(c *Config) *zerolog.Level { return &c.LogLevel }, parseLogLevel),
		},
		{
			"log-format", single, public, "FORMAT", "auto", "auto, json or console (auto: console on a terminal, else json)",
			one(func(c *Config) *logFormat { return &c.LogFormat }, parseLogFormat),
		},
		{
			configFileKey, single, public, "FILE", "", "read key=value lines from FILE",
			one(func(c *Config) *string { return &c.ConfigFile }, func(s string) (string, error) { return s, nil }),
		},
	}
}

// one stores the one value of a single or toggle.
func one[T any](field func(*Config) *T, parse func(string) (T, error)) func(*Config, []setting) error {
	return func(c *Config, settings []setting) error {
		s := settings[0]
		v, err := parse(s.Value)
		if err != nil {
			return &valueError{s.Origin, s.Value, err}
		}
		*field(c) = v
		return nil
	}
}

// each stores the values of a list; an empty setting adds none.
func each[T any](field func(*Config) *[]T, parse func(string) (T, error)) func(*Config, []setting) error {
	return func(c *Config, settings []setting) error {
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
		*field(c) = all
		return nil
	}
}

// The parsers below say in their error what they want; who calls them adds where the text comes from.

// parseBindIP reads an IP address, or none. An IPv4 address written as IPv6 (::ffff:127.0.0.1) is the IPv4 one.
func parseBindIP(s string) (netip.Addr, error) {
	if s == "none" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, errors.New("want an IP address such as 127.0.0.1 or ::1, or none")
	}
	return ip.Unmap(), nil
}

func parsePort(s string) (uint16, error) { return parsePortOr(s, "any free port") }

func parseScope(s string) (uint16, error) { return parsePortOr(s, "the whole host") }

// parsePortOr reads a port, or 0, which means otherwise.
func parsePortOr(s, otherwise string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("want a port from 1 to 65535 (0: %s)", otherwise)
	}
	return uint16(port), nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, errors.New("want 1, 0, true or false")
}

func parseRate(s string) (float64, error) {
	rate, err := strconv.ParseFloat(s, 64)
	// ParseFloat knows NaN and infinity, which are no rates.
	if err != nil || rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0, errors.New("want a number of requests a second, 0 or more (0: no limit)")
	}
	return rate, nil
}

func parseBurst(s string) (int, error) {
	return parseCount(s, 1, "want a whole number from 1 to 2147483647")
}

func parseConnections(s string) (int, error) {
	return parseCount(s, 1, "want a whole number of connections from 1 to 2147483647")
}

func parseConnectionsPerIP(s string) (int, error) {
	return parseCount(s, 0, "want a whole number of connections from 0 to 2147483647 (0: no limit)")
}

// parseCount reads a number of 31 bits that is not below least.
func parseCount(s string, least int64, want string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < least {
		return 0, errors.New(want)
	}
	return int(n), nil
}

// parsePrefix reads an address range (10.0.0.0/8) or one address. Bits beyond the prefix are cleared, and a range of IPv4
// addresses written as IPv6 is the IPv4 one: netip.Prefix.Contains would never match it.
func parsePrefix(s string) (netip.Prefix, error) {
	want := errors.New("want an address range such as 10.0.0.0/8, or one IP address")
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, want
		}
		prefix = netip.PrefixFrom(ip, ip.BitLen())
	}
	if ip := prefix.Addr(); ip.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, want
		}
		prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// parseFile reads the name of a file that protects the daemon, which is why there is no empty one.
func parseFile(s string) (string, error) {
	if s == "" {
		return "", errors.New("want the name of a file")
	}
	return s, nil
}

// bpfMode says whether BPF finds the owners of sockets.
type bpfMode string

const (
	bpfAuto bpfMode = "auto"
	bpfOn   bpfMode = "on"
	bpfOff  bpfMode = "off"
)

func parseBPF(s string) (bpfMode, error) {
	switch mode := bpfMode(s); mode {
	case bpfAuto, bpfOn, bpfOff:
		return mode, nil
	}
	return "", errors.New("want auto, on or off")
}

// defaultContainerAPIs are where the packages of Docker and Podman put their
// sockets.
const defaultContainerAPIs = "unix:///run/docker.sock,unix:///run/podman/podman.sock"

// noContainerAPI is the one that is none.
const noContainerAPI = "none"

// parseContainerAPI reads the URL of a unix socket, or none.
func parseContainerAPI(s string) (string, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok && strings.HasPrefix(path, "/") || s == noContainerAPI {
		return s, nil
	}
	return "", errors.New("want the URL of a socket such as unix:///run/docker.sock, or none")
}

// parseNetNS takes self, all or a name as ip-netns(8) allows it.
func parseNetNS(s string) (collector.NetNS, error) {
	switch {
	case s == "self":
		return collector.NetNS{}, nil
	case s == "all":
		return collector.NetNS{All: true}, nil
	case s == "", s == ".", s == "..", strings.ContainsRune(s, '/'), len(s) > 255:
		return collector.NetNS{}, errors.New("want all, self, or the name of a network namespace under /run/netns")
	default:
		return collector.NetNS{Name: s}, nil
	}
}

func parseHeight(s string) (uint64, error) {
	height, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("want a whole number from 0 to 18446744073709551615")
	}
	return height, nil
}

func parseLogLevel(s string) (zerolog.Level, error) {
	levels := []zerolog.Level{zerolog.TraceLevel, zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel, zerolog.ErrorLevel}
	i := slices.IndexFunc(levels, func(l zerolog.Level) bool { return l.String() == s })
	if i < 0 {
		return 0, errors.New("want trace, debug, info, warn or error")
	}
	return levels[i], nil
}

func parseLogFormat(s string) (logFormat, error) {
	switch f := logFormat(s); f {
	case logAuto, logJSON, logConsole:
		return f, nil
	}
	return "", errors.New("want auto, json or console")
}
