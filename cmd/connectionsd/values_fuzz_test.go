package main

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/connectionsd/connectionsd/rpc"
)

// Whatever a key is given, it means the same as a flag and as a variable, or is refused in the same words, which name where
// it stands, repeat no secret and not much of anything else. What is taken is in the bounds that docs/configuration.md
// states.
func FuzzValue(f *testing.F) {
	for i, k := range keys() {
		f.Add(byte(i), k.byDefault)
		f.Add(byte(i), "x")
	}
	for name, values := range map[string][]string{
		"rpc-bind-ip":   {"127.0.0.1", "::ffff:127.0.0.1", "fe80::1%eth0", "0.0.0.0", "none"},
		"rpc-bind-port": {"0", "01", "+1", "65536", "1e3", strings.Repeat("9", 400)},
		"unix-socket":   {"/run/a.sock", "/" + strings.Repeat("a", 200), "a", "/../\x00"},
		"rpc-login":     {"user:pass:word", ":", "user:"},
		"access-token":  {"abcdefghijklmnop", "abcdefghijklmnop,", ",", " abcdefghijklmnop ", "\xff"},
		"allowed-host":  {"a,b", "*", "a:1"},
		"rate-limit":    {"NaN", "Inf", "-0", "1e-400", "1e400", "0x1p3"},
		"rate-burst":    {"2147483648", "0", "-1"},
		"trusted-proxy": {"::ffff:10.0.0.0/104", "::ffff:10.0.0.0/95", "10.1.2.3/8,fd00::1", "fe80::1%a/64"},
		"container-api": {"unix:///run/docker.sock", "none", "unix://x", "none,unix:///a"},
		"netns":         {"..", "all", "a/b", strings.Repeat("n", 256)},
		"height":        {"18446744073709551616", "18446744073709551615"},
		"access-log":    {"off", "all", "0", "100", "-1", "2147483648"},
	} {
		i := slices.IndexFunc(keys(), func(k key) bool { return k.name == name })
		for _, value := range values {
			f.Add(byte(i), value)
		}
	}
	secretErrors := []string{
		": " + wantToken, ": " + noColon, ": the login has no user before the colon: want USER:PASSWORD", ": the login has no password after the colon: want USER:PASSWORD",
		": no value given: want USER:PASSWORD", ": no value given: want TOKEN",
	}
	f.Fuzz(func(t *testing.T, which byte, value string) {
		all := keys()
		k := all[int(which)%len(all)]
		if k.name == configFileKey || k.name == "rpc-login-file" { // which open a file of that name
			return
		}
		cfg, err := resolveIn(t, []string{"--" + k.name + "=" + value}, nil)
		again, againErr := resolveIn(t, nil, []string{k.variable() + "=" + value})
		if (err == nil) != (againErr == nil) {
			t.Fatalf("%s %q: error %v as a flag, %v as a variable", k.name, value, err, againErr)
		}
		if err != nil {
			said, isFlag := strings.CutPrefix(err.Error(), "--"+k.name)
			saidAgain, isVariable := strings.CutPrefix(againErr.Error(), k.variable())
			if !isFlag || !isVariable || said != saidAgain || len(said) > 800 {
				t.Fatalf("%s %q:\n%v\n%v", k.name, value, err, againErr)
			}
			if k.visibility == secret && !slices.Contains(secretErrors, said) {
				t.Fatalf("%s %q: %v, want one of %q behind the name", k.name, value, err, secretErrors)
			}
			return
		}
		cfg.Warnings, again.Warnings = nil, nil // a secret on the command line is warned of
		if diff := cmp.Diff(cfg, again, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, rpc.AccessToken{})); diff != "" {
			t.Fatalf("%s %q (-as a flag +as a variable):\n%s", k.name, value, diff)
		}
		for what, ok := range map[string]bool{
			"rpc-bind-ip":   !cfg.RPCBindIP.Is4In6() && (cfg.RPCBindIP.IsValid() || value == "none"),
			"external bind": cfg.RPCBindIP.IsLoopback() || !cfg.RPCBindIP.IsValid(), // nothing else is set that would allow another
			"unix-socket":   cfg.UnixSocket == "" || strings.HasPrefix(cfg.UnixSocket, "/") && len(cfg.UnixSocket) <= 107,
			"rate-limit":    cfg.RateLimit >= 0 && !math.IsInf(cfg.RateLimit, 0),
			"rate-burst":    1 <= cfg.RateBurst && cfg.RateBurst <= math.MaxInt32,
			"connections":   1 <= cfg.RPCMaxConnections && cfg.RPCMaxConnectionsPerPublicIP >= 0 && cfg.RPCMaxConnectionsPerPrivateIP >= 0,
			"trusted-proxy": !slices.ContainsFunc(cfg.TrustedProxies, func(p netip.Prefix) bool { return !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() }),
			"allowed-host":  !slices.Contains(cfg.AllowedHosts, ""),
			"container-api": !slices.ContainsFunc(cfg.ContainerAPIs, func(s string) bool { return s != "none" && !strings.HasPrefix(s, "unix:///") }),
			"netns":         cfg.NetNS.Name == "" || !cfg.NetNS.All && cfg.NetNS.Name != ".." && !strings.ContainsRune(cfg.NetNS.Name, '/'),
		} {
			if !ok {
				t.Errorf("%s: %q of %s is taken: %+v", what, value, k.name, cfg)
			}
		}
	})
}

// A variable that begins as this program's do is one of its own, or is refused by its name.
func FuzzVariableName(f *testing.F) {
	for _, name := range []string{"HEIGHT", "height", "HIEGHT", "", "RPC-BIND-IP", "ACCESS_TOKEN", "SERVICE_HOST", "\xff", "HEIGHT ", strings.Repeat("A", 500)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsAny(name, "=\x00") {
			return // no name of a variable
		}
		known := slices.ContainsFunc(keys(), func(k key) bool { return k.variable() == envPrefix+name })
		err := errors.Join(checkVariables([]string{"PATH=/bin", envPrefix + name + "=hunter2", "X" + envPrefix + name + "=1"})...)
		if (err == nil) != known {
			t.Fatalf("%q: error %v", name, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "unknown variable ") || strings.Contains(err.Error(), "hunter2")) {
			t.Fatalf("%q: error %v", name, err)
		}
	})
}
