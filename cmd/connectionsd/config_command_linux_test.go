package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"config"}, "no command given: want config and one of check, show; see connectionsd config --help"},
		{[]string{"config", "chek"}, `unknown command "config chek"; did you mean "config check"?`},
		{[]string{"config", "list"}, `unknown command "config list"; see connectionsd config --help`},
		{[]string{"config", "check", "c.conf"}, `unexpected argument "c.conf": want only flags; see connectionsd config check --help`},
		{[]string{"config", "check", "--json"}, `unknown flag "--json"; see connectionsd config check --help`},
		{[]string{"config", "show", "--json=yes"}, `--json "yes": want 1, 0, true or false`},
		{[]string{"config", "show", "--heigth=1"}, `unknown flag "--heigth"; did you mean "--height"?`},
		{[]string{"config", "show", "--height=x"}, `--height "x": want a whole number from 0 to 18446744073709551615`},
	} {
		want := outcome{Code: 2, Stderr: "connectionsd: " + tc.want + "\n"}
		if diff := cmp.Diff(want, outcomeOf(t, nil, tc.args...)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.args, diff)
		}
	}
}

// All that is wrong is said at once, each in a line, and nothing twice.
func TestConfigCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	newCertificate(t, "a", nil)
	newCertificate(t, "b", nil)
	writeFile(t, "login", "user:pass", 0o600)
	writeFile(t, "good.conf", "height=1\ntrusted-proxy=10.0.0.0/8\ntrusted-proxy=::1\n", 0o600)
	writeFile(t, "readable.conf", "access-token=0123456789abcdef", 0o644)
	writeFile(t, "bad.conf", "height=x\nzmq-pub=1\nrate-burst=0\nrpc-login=hunter2", 0o600)
	good := func(given string, warnings ...string) outcome {
		return outcome{0, "ok: settings given: " + given + ", the others are defaults\n", prefixed("connectionsd: warning: ", warnings)}
	}
	bad := func(errors ...string) outcome { return outcome{2, "", prefixed("connectionsd: ", errors)} }
	for _, tc := range []struct {
		name          string
		args, environ []string
		want          outcome
	}{
		{"nothing", nil, nil, good("0")},
		{"every origin", []string{"--config-file=good.conf", "--height=2"}, []string{"CONNECTIONSD_RATE_BURST=7"}, good("4")},
		{
			"files",
			[]string{"--rpc-login-file=login", "--rpc-ssl-certificate=a.pem", "--rpc-ssl-private-key=a.key"},
			nil,
			good("3"),
		},
		{"a user", []string{"--user=nobody"}, nil, good("1")},
		{
			"what puts a secret at risk",
			[]string{"--config-file=readable.conf"},
			nil,
			good("2", "readable.conf: holds a secret, and every user of this host may read it: want chmod o-r"),
		},
		{
			"nothing to listen on",
			[]string{"--rpc-bind-ip=none"},
			nil,
			good("1", "--rpc-bind-ip none: there is nothing to listen on unless systemd passes a socket"),
		},
		{
			"values, in every origin",
			[]string{"--config-file=bad.conf", "--log-level=loud"},
			[]string{"CONNECTIONSD_RATE_BURST=x", "CONNECTIONSD_HIEGHT=1", "CONNECTIONSD_RPC_BIND_PORT=-1"},
			bad(
				`unknown variable "CONNECTIONSD_HIEGHT"; did you mean "CONNECTIONSD_HEIGHT"?`,
				`CONNECTIONSD_RPC_BIND_PORT "-1": want a port from 1 to 65535 (0: any free port)`,
				`CONNECTIONSD_RATE_BURST "x": want a whole number from 1 to 2147483647`,
				`--log-level "loud": want trace, debug, info, warn or error`,
				`bad.conf:2: unknown key "zmq-pub"; see connectionsd serve --help`,
				`bad.conf:4 rpc-login: the login has no colon: want USER:PASSWORD`,
				`bad.conf:3 rate-burst "0": want a whole number from 1 to 2147483647`,
				`bad.conf:1 height "x": want a whole number from 0 to 18446744073709551615`,
			),
		},
		{
			"what does not go together",
			[]string{"--rpc-login-file=none", "--rpc-ssl-certificate=a.pem", "--rpc-bind-ip=0.0.0.0"},
			nil,
			bad(
				"--rpc-login-file: open none: no such file or directory",
				"--rpc-ssl-certificate: there is no --rpc-ssl-private-key with it: want both or neither",
			),
		},
		{
			"a certificate of another key, and no such user",
			[]string{"--rpc-ssl-certificate=a.pem", "--rpc-ssl-private-key=b.key", "--user=no-such-user"},
			nil,
			bad(
				"--rpc-ssl-certificate a.pem, --rpc-ssl-private-key b.key: tls: private key does not match public key",
				`--user no-such-user: there is no user "no-such-user": want the name or the number of one in /etc/passwd`,
			),
		},
		{
			"no such file",
			[]string{"--config-file=none", "--height=x"},
			nil,
			bad(
				`--height "x": want a whole number from 0 to 18446744073709551615`,
				"--config-file: open none: no such file or directory",
			),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := outcomeOf(t, tc.environ, append([]string{"config", "check"}, tc.args...)...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// prefixed begins each line with a prefix.
func prefixed(prefix string, all []string) string {
	var text strings.Builder
	for _, line := range all {
		text.WriteString(prefix + line + "\n")
	}
	return text.String()
}

const shownConf = "# a comment\nheight=7\ntrusted-proxy=10.0.0.0/8, ::1\n\ntrusted-proxy=192.0.2.1\nrpc-max-connections=1000\nallowed-host=node\n"

// What differs from the defaults is shown with where it stands, and of secrets no more than that.
func TestConfigShow(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "c.conf", shownConf, 0o600)
	args := []string{"config", "show", "--config-file=c.conf", "--confirm-external-bind", "--access-token=hunter2hunter2hunter2", "--rate-burst=100"}
	environ := []string{"CONNECTIONSD_RPC_LOGIN=user:hunter2", "CONNECTIONSD_LOG_LEVEL=debug"}

	got := outcomeOf(t, environ, append(args, "--changed")...)
	want := outcome{0, strings.Join([]string{
		"KEY                    VALUE                     ORIGIN",
		"confirm-external-bind  true                      flag --confirm-external-bind",
		"rpc-login              [redacted]                environment CONNECTIONSD_RPC_LOGIN",
		"access-token           [redacted]                flag --access-token",
		"allowed-host           node                      file c.conf line 7",
		"trusted-proxy          10.0.0.0/8, ::1,192.0.2.1  file c.conf lines 3, 5",
		"height                 7                         file c.conf line 2",
		"log-level              debug                     environment CONNECTIONSD_LOG_LEVEL",
		"config-file            c.conf                    flag --config-file",
		"",
	}, "\n"), ""}
	if diff := cmp.Diff(wordsOf(want.Stdout), wordsOf(got.Stdout)); diff != "" || got.Code != 0 || got.Stderr != "" {
		t.Errorf("exit code %d, stderr %q, stdout (-want +got):\n%s", got.Code, got.Stderr, diff)
	}

	var shown struct{ Settings []shownSetting }
	got = outcomeOf(t, environ, append(args, "--json")...)
	if err := json.Unmarshal([]byte(got.Stdout), &shown); err != nil || got.Code != 0 {
		t.Fatalf("exit code %d, %v:\n%s", got.Code, err, got.Stdout)
	}
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	var shownNames []string
	for _, s := range shown.Settings {
		shownNames = append(shownNames, s.Key)
	}
	if diff := cmp.Diff(names, shownNames); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, want := range []shownSetting{
		{Key: "rpc-bind-ip", Value: "127.0.0.1", Origin: "default"},
		{Key: "unix-socket", Origin: "default"},
		{Key: "rpc-login", Value: "[redacted]", Origin: "environment", Variable: "CONNECTIONSD_RPC_LOGIN"},
		{Key: "rate-burst", Value: "100", Origin: "flag", Flag: "--rate-burst"},
		{Key: "rpc-max-connections", Value: "1000", Origin: "file", File: "c.conf", Lines: []int{6}},
		{Key: "trusted-proxy", Value: "10.0.0.0/8, ::1,192.0.2.1", Origin: "file", File: "c.conf", Lines: []int{3, 5}},
	} {
		i := slices.IndexFunc(shown.Settings, func(s shownSetting) bool { return s.Key == want.Key })
		if diff := cmp.Diff(want, shown.Settings[i]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Key, diff)
		}
	}
	if out := got.Stdout; strings.Contains(out, "hunter2") {
		t.Errorf("a secret is in %s", out)
	}

	// Of two origins the stronger; and nothing that a terminal would obey.
	got = outcomeOf(t, []string{"CONNECTIONSD_HEIGHT=5", "CONNECTIONSD_NETNS=b\x1b[31mlue"}, "config", "show", "--changed", "--height=6")
	want.Stdout = "KEY VALUE ORIGIN\nnetns \"b\\x1b[31mlue\" environment CONNECTIONSD_NETNS\nheight 6 flag --height\n"
	if diff := cmp.Diff(wordsOf(want.Stdout), wordsOf(got.Stdout)); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	got = outcomeOf(t, nil, "config", "show", "--changed", "--json")
	if diff := cmp.Diff(outcome{0, "{\n  \"settings\": []\n}\n", ""}, got); diff != "" {
		t.Errorf("without any settings (-want +got):\n%s", diff)
	}
}

// wordsOf returns the words of a table, whose width counts for nothing.
func wordsOf(table string) [][]string {
	var all [][]string
	for line := range strings.Lines(table) {
		all = append(all, strings.Fields(line))
	}
	return all
}
