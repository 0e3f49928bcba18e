package main

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/rpc"
)

// resolveArgs parses args as serve's flags and resolves them with environ. file, unless "", becomes the file c.conf in the
// current directory, which is a new one.
func resolveArgs(t *testing.T, args, environ []string, file string) (Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile("c.conf", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return resolveIn(t, args, environ)
}

// resolveIn does so in the current directory as it is.
func resolveIn(t *testing.T, args, environ []string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatalf("parse %q: %v", args, err)
	}
	return resolve(flags, environ, os.Open)
}

func accessToken(t *testing.T, s string) rpc.AccessToken {
	t.Helper()
	token, err := rpc.ParseAccessToken(s)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// equal compares configurations.
func equal(t *testing.T, got, want Config) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, rpc.AccessToken{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// defaults returns the documented defaults, written out once more so that a change of one is seen here.
func defaults() Config {
	return Config{
		RPCBindIP:   netip.MustParseAddr("127.0.0.1"),
		RPCBindPort: 18081,
		RateLimit:   50,
		RateBurst:   100,

		RPCMaxConnections:             1000,
		RPCMaxConnectionsPerPublicIP:  20,
		RPCMaxConnectionsPerPrivateIP: 500,

		NetNS:         collector.NetNS{All: true},
		BPF:           bpfAuto,
		ContainerAPIs: []string{"unix:///run/docker.sock", "unix:///run/podman/podman.sock"},
		CommandLines:  process.Redacted,
		Sandbox:       sandboxAuto,
		LogLevel:      zerolog.InfoLevel,
		LogFormat:     "auto",
	}
}

func TestResolveDefaults(t *testing.T) {
	got, err := resolveArgs(t, nil, []string{"HOME=/root", "XCONNECTIONSD_HEIGHT=1", "CONNECTIONSD=1"}, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, defaults())
}

func TestResolveEveryKeyFromEveryOrigin(t *testing.T) {
	want := Config{
		RPCBindIP:           netip.MustParseAddr("0.0.0.0"),
		RPCBindPort:         0,
		ConfirmExternalBind: true,
		RateLimit:           0.5,
		RateBurst:           1,
		TrustedProxies:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Height:              18446744073709551615,
		LogLevel:            zerolog.TraceLevel,
		LogFormat:           "console",

		RPCMaxConnections:             1,
		RPCMaxConnectionsPerPublicIP:  0,
		RPCMaxConnectionsPerPrivateIP: 2147483647,

		Scope:         18080,
		NetNS:         collector.NetNS{Name: "blue"},
		BPF:           bpfOff,
		ContainerAPIs: []string{"unix:///a.sock", "none"},
		CommandLines:  process.Full,
		UnixSocket:    "/run/connectionsd.sock",
		User:          "nobody:adm",
		Sandbox:       sandboxOff,

		RPCLogin:                rpc.Login{User: "user", Password: "a:b"},
		AccessTokens:            []rpc.AccessToken{accessToken(t, "0123456789abcdef"), accessToken(t, "fedcba9876543210")},
		AllowedHosts:            []string{"node.example.org", "*"},
		RPCAccessControlOrigins: []string{"https://example.org", "http://localhost:3000"},
		RPCSSLCertificate:       "c.pem",
		RPCSSLPrivateKey:        "k.pem",
		RPCSSLCACertificates:    "ca.pem",
	}
	t.Run("flags", func(t *testing.T) {
		got, err := resolveArgs(t, []string{
			"--rpc-bind-ip", "0.0.0.0", "--rpc-bind-port=0", "--confirm-external-bind", "--rate-limit", "0.5", "--rate-burst", "1",
			"--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1", "--height", "18446744073709551615",
			"--log-level", "trace", "--log-format", "console", "--scope", "18080",
			"--netns", "blue", "--bpf", "off", "--container-api", "unix:///a.sock,none", "--cmdline", "full",
			"--rpc-max-connections", "1", "--rpc-max-connections-per-public-ip=0", "--rpc-max-connections-per-private-ip=2147483647",
			"--unix-socket", "/run//connectionsd.sock", "--user", "nobody:adm", "--sandbox", "off",
			"--rpc-login", "user:a:b", "--access-token", "0123456789abcdef", "--access-token", "fedcba9876543210",
			"--allowed-host", "Node.Example.org.", "--allowed-host", "*",
			"--rpc-access-control-origins", "HTTPS://example.org:443, http://localhost:3000",
			"--rpc-ssl-certificate", "c.pem", "--rpc-ssl-private-key", "k.pem", "--rpc-ssl-ca-certificates", "ca.pem",
		}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		want := want
		want.Warnings = []string{
			"--rpc-login: others on this host may have read it from the command line: want CONNECTIONSD_RPC_LOGIN or the configuration file",
			"--access-token: others on this host may have read it from the command line: want CONNECTIONSD_ACCESS_TOKEN or the configuration file",
		}
		equal(t, got, want)
	})
	t.Run("environment", func(t *testing.T) {
		got, err := resolveArgs(t, nil, []string{
			"CONNECTIONSD_RPC_BIND_IP=0.0.0.0", "CONNECTIONSD_RPC_BIND_PORT=0", "CONNECTIONSD_CONFIRM_EXTERNAL_BIND=1",
			"CONNECTIONSD_RATE_LIMIT=0.5", "CONNECTIONSD_RATE_BURST=1", "CONNECTIONSD_TRUSTED_PROXY=10.0.0.0/8, ::1",
			"CONNECTIONSD_HEIGHT=18446744073709551615", "CONNECTIONSD_LOG_LEVEL=trace", "CONNECTIONSD_LOG_FORMAT=console",
			"CONNECTIONSD_RPC_LOGIN=user:a:b", "CONNECTIONSD_ACCESS_TOKEN=0123456789abcdef,fedcba9876543210",
			"CONNECTIONSD_SCOPE=18080", "CONNECTIONSD_NETNS=blue", "CONNECTIONSD_BPF=off",
			"CONNECTIONSD_CONTAINER_API=unix:///a.sock,none", "CONNECTIONSD_CMDLINE=full",
			"CONNECTIONSD_RPC_MAX_CONNECTIONS=1", "CONNECTIONSD_RPC_MAX_CONNECTIONS_PER_PUBLIC_IP=0", "CONNECTIONSD_RPC_MAX_CONNECTIONS_PER_PRIVATE_IP=2147483647",
			"CONNECTIONSD_UNIX_SOCKET=/run/connectionsd.sock", "CONNECTIONSD_USER=nobody:adm", "CONNECTIONSD_SANDBOX=off", "CONNECTIONSD_ALLOWED_HOST=node.example.org,*",
			"CONNECTIONSD_RPC_ACCESS_CONTROL_ORIGINS=https://example.org,http://localhost:3000",
			"CONNECTIONSD_RPC_SSL_CERTIFICATE=c.pem", "CONNECTIONSD_RPC_SSL_PRIVATE_KEY=k.pem",
			"CONNECTIONSD_RPC_SSL_CA_CERTIFICATES=ca.pem",
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, want)
	})
	t.Run("file", func(t *testing.T) {
		got, err := resolveArgs(t, []string{"--config-file", "c.conf"}, nil, strings.Join([]string{
			"rpc-bind-ip=0.0.0.0", "rpc-bind-port=0", "confirm-external-bind=true", "rate-limit=0.5", "rate-burst=1",
			"rpc-max-connections=1", "rpc-max-connections-per-public-ip=0", "rpc-max-connections-per-private-ip=2147483647",
			"unix-socket=/run/connectionsd.sock", "user=nobody:adm", "sandbox=off",
			"trusted-proxy=10.0.0.0/8", "trusted-proxy=::1", "height=18446744073709551615", "log-level=trace", "log-format=console",
			"rpc-login=user:a:b", "access-token=0123456789abcdef", "access-token=fedcba9876543210",
			"scope=18080", "netns=blue", "bpf=off", "container-api=unix:///a.sock", "container-api=none", "cmdline=full", "allowed-host=node.example.org", "allowed-host=*",
			"rpc-access-control-origins=https://example.org", "rpc-access-control-origins=http://localhost:3000",
			"rpc-ssl-certificate=c.pem", "rpc-ssl-private-key=k.pem", "rpc-ssl-ca-certificates=ca.pem",
		}, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := want
		want.ConfigFile = "c.conf"
		equal(t, got, want)
	})
}

// Each key is given by every combination of origins. The strongest wins: flag, environment, file, default.
func TestResolvePrecedence(t *testing.T) {
	proxies := func(cidrs ...string) []netip.Prefix {
		var all []netip.Prefix
		for _, c := range cidrs {
			all = append(all, netip.MustParsePrefix(c))
		}
		return all
	}
	type values struct {
		height  uint64
		proxies []netip.Prefix
		confirm bool
	}
	for _, tc := range []struct {
		name            string
		flag, env, file bool
		want            values
	}{
		{"none", false, false, false, values{0, nil, false}},
		{"file", false, false, true, values{1, proxies("10.1.0.0/16", "10.2.0.0/16"), true}},
		{"environment", false, true, false, values{2, proxies("10.3.0.0/16", "10.4.0.0/16"), false}},
		{"environment and file", false, true, true, values{2, proxies("10.3.0.0/16", "10.4.0.0/16"), false}},
		{"flag", true, false, false, values{3, proxies("10.5.0.0/16", "10.6.0.0/16"), true}},
		{"flag and file", true, false, true, values{3, proxies("10.5.0.0/16", "10.6.0.0/16"), true}},
		{"flag and environment", true, true, false, values{3, proxies("10.5.0.0/16", "10.6.0.0/16"), true}},
		{"all", true, true, true, values{3, proxies("10.5.0.0/16", "10.6.0.0/16"), true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var args, environ []string
			file, want := "", defaults()
			if tc.flag {
				args = []string{"--height=3", "--trusted-proxy=10.5.0.0/16", "--trusted-proxy=10.6.0.0/16", "--confirm-external-bind"}
			}
			if tc.env {
				environ = []string{
					"CONNECTIONSD_HEIGHT=2", "CONNECTIONSD_TRUSTED_PROXY=10.3.0.0/16,10.4.0.0/16",
					"CONNECTIONSD_CONFIRM_EXTERNAL_BIND=false",
				}
			}
			if tc.file {
				file = "height=1\ntrusted-proxy=10.1.0.0/16\ntrusted-proxy=10.2.0.0/16\nconfirm-external-bind=1\n"
				environ = append(environ, "CONNECTIONSD_CONFIG_FILE=c.conf")
				want.ConfigFile = "c.conf"
			}
			want.Height, want.TrustedProxies, want.ConfirmExternalBind = tc.want.height, tc.want.proxies, tc.want.confirm
			got, err := resolveArgs(t, args, environ, file)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, got, want)
		})
	}
}

func TestResolveAcceptedForms(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want func(*Config)
	}{
		{"IPv6 loopback", []string{"--rpc-bind-ip=::1"}, func(c *Config) { c.RPCBindIP = netip.MustParseAddr("::1") }},
		{"all of 127/8 is loopback", []string{"--rpc-bind-ip=127.8.9.10"}, func(c *Config) { c.RPCBindIP = netip.MustParseAddr("127.8.9.10") }},
		{"no IP address", []string{"--rpc-bind-ip=none"}, func(c *Config) { c.RPCBindIP = netip.Addr{} }},
		{"user of a number", []string{"--user=0:0"}, func(c *Config) { c.User = "0:0" }},
		{"socket path of greatest length", []string{"--unix-socket=/" + strings.Repeat("a", 106)}, func(c *Config) {
			c.UnixSocket = "/" + strings.Repeat("a", 106)
		}},
		{"IPv4 as IPv6", []string{"--rpc-bind-ip=::ffff:127.0.0.1"}, func(*Config) {}},
		{"confirmed bind with a zone", []string{"--rpc-bind-ip=fe80::1%eth0", "--confirm-external-bind"}, func(c *Config) {
			c.RPCBindIP, c.ConfirmExternalBind = netip.MustParseAddr("fe80::1%eth0"), true
		}},
		{"least port", []string{"--rpc-bind-port=1"}, func(c *Config) { c.RPCBindPort = 1 }},
		{"greatest port", []string{"--rpc-bind-port=65535"}, func(c *Config) { c.RPCBindPort = 65535 }},
		{"toggle off", []string{"--confirm-external-bind=0"}, func(*Config) {}},
		{"no rate limit", []string{"--rate-limit=0"}, func(c *Config) { c.RateLimit = 0 }},
		{"greatest burst", []string{"--rate-burst=2147483647"}, func(c *Config) { c.RateBurst = 2147483647 }},
		{"one IPv4 address", []string{"--trusted-proxy=192.0.2.1"}, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		}},
		{"bits beyond the prefix", []string{"--trusted-proxy=192.0.2.77/24"}, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}},
		{"IPv4 range as IPv6", []string{"--trusted-proxy=::ffff:192.0.2.0/120"}, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}},
		{"one IPv4 address as IPv6", []string{"--trusted-proxy=::ffff:192.0.2.1"}, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		}},
		{"repeated and with commas", []string{"--trusted-proxy=::1,10.0.0.0/8", "--trusted-proxy=192.0.2.1"}, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{
				netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
			}
		}},
		{"empty list", []string{"--trusted-proxy="}, func(*Config) {}},
		{"no file", []string{"--config-file="}, func(*Config) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := resolveArgs(t, tc.args, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			tc.want(&want)
			equal(t, got, want)
		})
	}
}

// An empty variable empties the list of the file, as any stronger origin replaces the weaker one whole.
func TestResolveEmptyListOverrides(t *testing.T) {
	got, err := resolveArgs(t, []string{"--config-file=c.conf"}, []string{"CONNECTIONSD_TRUSTED_PROXY="}, "trusted-proxy=10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.ConfigFile = "c.conf"
	equal(t, got, want)
}

func TestResolveErrors(t *testing.T) {
	const (
		wantIP     = "want an IP address such as 127.0.0.1 or ::1, or none"
		wantPort   = "want a port from 1 to 65535 (0: any free port)"
		wantRate   = "want a number of requests a second, 0 or more (0: no limit)"
		wantBurst  = "want a whole number from 1 to 2147483647"
		wantConns  = "want a whole number of connections from 1 to 2147483647"
		wantPerIP  = "want a whole number of connections from 0 to 2147483647 (0: no limit)"
		wantPrefix = "want an address range such as 10.0.0.0/8, or one IP address"
		wantNetNS  = "want all, self, or the name of a network namespace under /run/netns"
		wantAPI    = "want the URL of a socket such as unix:///run/docker.sock, or none"
		wantSocket = "want a path that begins with /, of at most 107 bytes"
		wantUser   = "want the name or the number of a user, and of a group after a colon if it is not the user's own"
		wantHeight = "want a whole number from 0 to 18446744073709551615"
		wantBool   = "want 1, 0, true or false"
		wantLevel  = "want trace, debug, info, warn or error"
		wantFormat = "want auto, json or console"
		wantBind   = "not a loopback address, and no login, token or client certificate protects it: " +
			"want a loopback address such as 127.0.0.1, or --rpc-login-file, --access-token or --rpc-ssl-ca-certificates, " +
			"or --confirm-external-bind to answer all who can reach it"
	)
	for _, tc := range []struct {
		name          string
		args, environ []string
		file          string
		want          string
	}{
		{name: "ip", args: []string{"--rpc-bind-ip=localhost"}, want: `--rpc-bind-ip "localhost": ` + wantIP},
		{name: "ip with port", args: []string{"--rpc-bind-ip=127.0.0.1:1"}, want: `--rpc-bind-ip "127.0.0.1:1": ` + wantIP},
		{name: "port too large", args: []string{"--rpc-bind-port=99999"}, want: `--rpc-bind-port "99999": ` + wantPort},
		{name: "port just too large", args: []string{"--rpc-bind-port=65536"}, want: `--rpc-bind-port "65536": ` + wantPort},
		{name: "port negative", args: []string{"--rpc-bind-port=-1"}, want: `--rpc-bind-port "-1": ` + wantPort},
		{name: "port empty", args: []string{"--rpc-bind-port="}, want: `--rpc-bind-port "": ` + wantPort},
		{name: "toggle", args: []string{"--confirm-external-bind=yes"}, want: `--confirm-external-bind "yes": ` + wantBool},
		{name: "rate negative", args: []string{"--rate-limit=-0.1"}, want: `--rate-limit "-0.1": ` + wantRate},
		{name: "rate NaN", args: []string{"--rate-limit=NaN"}, want: `--rate-limit "NaN": ` + wantRate},
		{name: "rate infinite", args: []string{"--rate-limit=inf"}, want: `--rate-limit "inf": ` + wantRate},
		{name: "rate no number", args: []string{"--rate-limit=50/s"}, want: `--rate-limit "50/s": ` + wantRate},
		{name: "burst zero", args: []string{"--rate-burst=0"}, want: `--rate-burst "0": ` + wantBurst},
		{name: "no connections", args: []string{"--rpc-max-connections=0"}, want: `--rpc-max-connections "0": ` + wantConns},
		{name: "connections too many", args: []string{"--rpc-max-connections=2147483648"}, want: `--rpc-max-connections "2147483648": ` + wantConns},
		{name: "connections negative", args: []string{"--rpc-max-connections-per-public-ip=-1"}, want: `--rpc-max-connections-per-public-ip "-1": ` + wantPerIP},
		{name: "connections no number", args: []string{"--rpc-max-connections-per-private-ip=all"}, want: `--rpc-max-connections-per-private-ip "all": ` + wantPerIP},
		{name: "burst too large", args: []string{"--rate-burst=2147483648"}, want: `--rate-burst "2147483648": ` + wantBurst},
		{name: "proxy name", args: []string{"--trusted-proxy=proxy"}, want: `--trusted-proxy "proxy": ` + wantPrefix},
		{name: "proxy bits", args: []string{"--trusted-proxy=10.0.0.0/33"}, want: `--trusted-proxy "10.0.0.0/33": ` + wantPrefix},
		{name: "proxy zone", args: []string{"--trusted-proxy=fe80::1%eth0"}, want: `--trusted-proxy "fe80::1%eth0": ` + wantPrefix},
		{name: "proxy wider than IPv4", args: []string{"--trusted-proxy=::ffff:0.0.0.0/95"}, want: `--trusted-proxy "::ffff:0.0.0.0/95": ` + wantPrefix},
		{name: "proxy second of a list", args: []string{"--trusted-proxy=::1, x"}, want: `--trusted-proxy "x": ` + wantPrefix},
		{name: "proxy trailing comma", args: []string{"--trusted-proxy=::1,"}, want: `--trusted-proxy "": ` + wantPrefix},
		{name: "height negative", args: []string{"--height=-1"}, want: `--height "-1": ` + wantHeight},
		{name: "height too large", args: []string{"--height=18446744073709551616"}, want: `--height "18446744073709551616": ` + wantHeight},
		{name: "scope too large", args: []string{"--scope=99999"}, want: `--scope "99999": want a port from 1 to 65535 (0: the whole host)`},
		{name: "netns empty", args: []string{"--netns="}, want: `--netns "": ` + wantNetNS},
		{name: "netns path", args: []string{"--netns=/run/netns/a"}, want: `--netns "/run/netns/a": ` + wantNetNS},
		{name: "netns parent", args: []string{"--netns=.."}, want: `--netns "..": ` + wantNetNS},
		{name: "bpf", args: []string{"--bpf=yes"}, want: `--bpf "yes": want auto, on or off`},
		{name: "container api path", args: []string{"--container-api=/run/docker.sock"}, want: `--container-api "/run/docker.sock": ` + wantAPI},
		{name: "container api over tcp", args: []string{"--container-api=none,tcp://10.0.0.1:2375"}, want: `--container-api "tcp://10.0.0.1:2375": ` + wantAPI},
		{name: "container api relative", args: []string{"--container-api=unix://docker.sock"}, want: `--container-api "unix://docker.sock": ` + wantAPI},
		{name: "socket relative", args: []string{"--unix-socket=c.sock"}, want: `--unix-socket "c.sock": ` + wantSocket},
		{name: "socket abstract", args: []string{"--unix-socket=@c"}, want: `--unix-socket "@c": ` + wantSocket},
		{name: "socket empty", args: []string{"--unix-socket="}, want: `--unix-socket "": ` + wantSocket},
		{
			name: "socket too long", args: []string{"--unix-socket=/" + strings.Repeat("a", 107)},
			want: `--unix-socket "/` + strings.Repeat("a", 99) + `": ` + wantSocket,
		},
		{name: "user empty", args: []string{"--user="}, want: `--user "": ` + wantUser},
		{name: "user without a name", args: []string{"--user=:adm"}, want: `--user ":adm": ` + wantUser},
		{name: "user without a group", args: []string{"--user=nobody:"}, want: `--user "nobody:": ` + wantUser},
		{name: "user with two groups", args: []string{"--user=nobody:adm:sys"}, want: `--user "nobody:adm:sys": ` + wantUser},
		{name: "sandbox", args: []string{"--sandbox=on"}, want: `--sandbox "on": want auto or off`},
		{name: "cmdline", args: []string{"--cmdline=on"}, want: `--cmdline "on": want full, redacted or off`},
		{name: "log level", args: []string{"--log-level=fatal"}, want: `--log-level "fatal": ` + wantLevel},
		{name: "log level empty", args: []string{"--log-level="}, want: `--log-level "": ` + wantLevel},
		{name: "log format", args: []string{"--log-format=JSON"}, want: `--log-format "JSON": ` + wantFormat},

		{name: "external bind by flag", args: []string{"--rpc-bind-ip=0.0.0.0"}, want: `--rpc-bind-ip "0.0.0.0": ` + wantBind},
		{
			name: "external bind not confirmed", args: []string{"--rpc-bind-ip=::", "--confirm-external-bind=false"},
			want: `--rpc-bind-ip "::": ` + wantBind,
		},
		{
			name: "external bind by variable", environ: []string{"CONNECTIONSD_RPC_BIND_IP=192.0.2.1"},
			want: `CONNECTIONSD_RPC_BIND_IP "192.0.2.1": ` + wantBind,
		},
		{
			name: "external bind by file", args: []string{"--config-file=c.conf"}, file: "rpc-bind-ip=192.0.2.1",
			want: `c.conf:1 rpc-bind-ip "192.0.2.1": ` + wantBind,
		},

		{name: "variable value", environ: []string{"CONNECTIONSD_RPC_BIND_PORT=x"}, want: `CONNECTIONSD_RPC_BIND_PORT "x": ` + wantPort},
		{name: "variable empty", environ: []string{"CONNECTIONSD_HEIGHT="}, want: `CONNECTIONSD_HEIGHT "": ` + wantHeight},
		{
			name: "variable overridden", args: []string{"--height=1"}, environ: []string{"CONNECTIONSD_HEIGHT=x"},
			want: `CONNECTIONSD_HEIGHT "x": ` + wantHeight,
		},
		{
			name: "variable misspelt", environ: []string{"CONNECTIONSD_RPC_BIND_PROT=1"},
			want: `unknown variable "CONNECTIONSD_RPC_BIND_PROT"; did you mean "CONNECTIONSD_RPC_BIND_PORT"?`,
		},
		{
			name: "variable unknown", environ: []string{"CONNECTIONSD_SERVICE_HOST=10.0.0.1"},
			want: `unknown variable "CONNECTIONSD_SERVICE_HOST"; see connectionsd serve --help`,
		},
		{
			name: "variable without a name", environ: []string{"CONNECTIONSD_=1"},
			want: `unknown variable "CONNECTIONSD_"; see connectionsd serve --help`,
		},

		{
			name: "file value", args: []string{"--config-file=c.conf"}, file: "# ports\n\nrpc-bind-port = 99999\n",
			want: `c.conf:3 rpc-bind-port "99999": ` + wantPort,
		},
		{
			name: "file value overridden", args: []string{"--config-file=c.conf", "--height=1"}, file: "height=x",
			want: `c.conf:1 height "x": ` + wantHeight,
		},
		{
			name: "file second of a list", args: []string{"--config-file=c.conf"}, file: "trusted-proxy=::1\ntrusted-proxy=::1/129",
			want: `c.conf:2 trusted-proxy "::1/129": ` + wantPrefix,
		},
		{
			name: "file key misspelt", args: []string{"--config-file=c.conf"}, file: "height=1\nrpc_bind_ip=::1",
			want: `c.conf:2: unknown key "rpc_bind_ip"; did you mean "rpc-bind-ip"?`,
		},
		{
			name: "file absent, by flag", args: []string{"--config-file=c.conf"},
			want: `--config-file: open c.conf: no such file or directory`,
		},
		{
			name: "file absent, by variable", environ: []string{"CONNECTIONSD_CONFIG_FILE=c.conf"},
			want: `CONNECTIONSD_CONFIG_FILE: open c.conf: no such file or directory`,
		},
		{name: "file is a directory", args: []string{"--config-file=."}, want: `--config-file: read .: is a directory`},
		{
			name: "file too large", args: []string{"--config-file=c.conf"}, file: "#" + strings.Repeat(" ", 1<<20),
			want: `--config-file: c.conf is too large: want a file of at most 1048576 bytes`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := resolveArgs(t, tc.args, tc.environ, tc.file)
			if err == nil {
				t.Fatalf("got %+v, want error %q", got, tc.want)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResolveFileOfGreatestSize(t *testing.T) {
	got, err := resolveArgs(t, []string{"--config-file=c.conf"}, nil, "height=7\n#"+strings.Repeat(" ", 1<<20-len("height=7\n#")))
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Height, want.ConfigFile = 7, "c.conf"
	equal(t, got, want)
}

func TestNetNS(t *testing.T) {
	for value, want := range map[string]collector.NetNS{
		"self": {}, "all": {All: true}, "blue": {Name: "blue"}, "..x": {Name: "..x"},
	} {
		if got, err := parseNetNS(value); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", value, got, err, want)
		}
	}
}
