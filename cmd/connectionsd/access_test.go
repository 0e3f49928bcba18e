package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/rpc"
)

const (
	wantToken = "want 16 to 256 characters of A-Z, a-z, 0-9, ., _, ~ and -, as openssl rand -hex 16 prints"
	noColon   = "the login has no colon: want USER:PASSWORD"
)

// Whatever is wrong with a secret, or with how it is given, nobody reads it in what is said about that.
func TestErrorsDoNotRepeatSecrets(t *testing.T) {
	for _, tc := range []struct {
		name          string
		args, environ []string
		file          string
		want          string
	}{
		{name: "flag, no colon", args: []string{"--rpc-login=hunter2"}, want: "--rpc-login: " + noColon},
		{name: "flag, no user", args: []string{"--rpc-login", ":hunter2"}, want: "--rpc-login: the login has no user before the colon: want USER:PASSWORD"},
		{name: "flag, no password", args: []string{"--rpc-login", "hunter2:"}, want: "--rpc-login: the login has no password after the colon: want USER:PASSWORD"},
		{name: "flag, empty", args: []string{"--rpc-login="}, want: "--rpc-login: no value given: want USER:PASSWORD"},
		{name: "flag, twice", args: []string{"--rpc-login=user:hunter2", "--rpc-login=hunter2:hunter2"}, want: "--rpc-login: already set: want this flag once"},
		{name: "flag, short token", args: []string{"--access-token=hunter2hunter2h"}, want: "--access-token: " + wantToken},
		{name: "flag, token with a slash", args: []string{"--access-token=hunter2/hunter2hunter2"}, want: "--access-token: " + wantToken},
		{name: "flag, token of 257", args: []string{"--access-token=hunter2" + strings.Repeat("x", 250)}, want: "--access-token: " + wantToken},
		{name: "flag, empty token", args: []string{"--access-token="}, want: "--access-token: no value given: want TOKEN"},
		{
			name: "flag, second token of a list", args: []string{"--access-token=0123456789abcdef,hunter2"},
			want: "--access-token: " + wantToken,
		},
		{
			name: "rest of a token after a space", args: []string{"--access-token", "0123456789abcdef", "hunter2"},
			want: "unexpected argument after the flags: want only flags; see connectionsd serve --help",
		},
		{
			name: "flag with a colon", args: []string{"--rpc-login:user:hunter2"},
			want: `unknown flag "--rpc-login"; did you mean "--rpc-login"?`,
		},
		{name: "misspelt flag", args: []string{"--rpc-logn=user:hunter2"}, want: `unknown flag "--rpc-logn"; did you mean "--rpc-login"?`},
		{name: "misspelt flag, value apart", args: []string{"--acces-token", "hunter2"}, want: `unknown flag "--acces-token"; did you mean "--access-token"?`},
		{name: "flag with one dash", args: []string{"-rpc-login=user:hunter2"}, want: `unknown flag "-r"; see connectionsd serve --help`},
		{
			name: "flag with three dashes", args: []string{"---rpc-login=user:hunter2"},
			want: `bad flag "---rpc-login": want --name or --name=value; see connectionsd serve --help`,
		},

		{name: "variable, no colon", environ: []string{"CONNECTIONSD_RPC_LOGIN=hunter2"}, want: "CONNECTIONSD_RPC_LOGIN: " + noColon},
		{
			name: "variable that was not filled", environ: []string{"CONNECTIONSD_RPC_LOGIN="},
			want: "CONNECTIONSD_RPC_LOGIN: no value given: want USER:PASSWORD",
		},
		{name: "variable, short token", environ: []string{"CONNECTIONSD_ACCESS_TOKEN=hunter2"}, want: "CONNECTIONSD_ACCESS_TOKEN: " + wantToken},
		{
			name: "variable with a token that was not filled", environ: []string{"CONNECTIONSD_ACCESS_TOKEN="},
			want: "CONNECTIONSD_ACCESS_TOKEN: no value given: want TOKEN",
		},
		{
			name: "misspelt variable", environ: []string{"CONNECTIONSD_RPC_LOGN=user:hunter2"},
			want: `unknown variable "CONNECTIONSD_RPC_LOGN"; did you mean "CONNECTIONSD_RPC_LOGIN"?`,
		},
		{
			name: "variable overridden", args: []string{"--rpc-login=user:pass"}, environ: []string{"CONNECTIONSD_RPC_LOGIN=hunter2"},
			want: "CONNECTIONSD_RPC_LOGIN: " + noColon,
		},

		{name: "file, no colon", file: "rpc-login=hunter2", want: "c.conf:1 rpc-login: " + noColon},
		{name: "file, short token", file: "height=1\naccess-token=hunter2", want: "c.conf:2 access-token: " + wantToken},
		{name: "file, second of a list", file: "access-token=0123456789abcdef\naccess-token=hunter2", want: "c.conf:2 access-token: " + wantToken},
		{name: "file, twice", file: "rpc-login=user:hunter2\nrpc-login=user:hunter2", want: "c.conf:2: rpc-login: already set on line 1: want it once"},
		{name: "file, no =", file: "rpc-login user:hunter2", want: "c.conf:1: want key=value"},
		{name: "file, the = is the password's", file: "rpc-login user:hunter2=", want: "c.conf:1: want key=value"},
		{name: "file, misspelt", file: "rpc-logn=user:hunter2", want: `c.conf:1: unknown key "rpc-logn"; did you mean "rpc-login"?`},
		{name: "file, not UTF-8", file: "rpc-login=user:hunter2\xff", want: "c.conf:1: bytes that are no text: want UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			args := append([]string{"serve"}, tc.args...)
			if tc.file != "" {
				writeFile(t, "c.conf", tc.file, 0o600)
				args = append(args, "--config-file=c.conf")
			}
			var stdout, stderr bytes.Buffer
			p := program{
				stdout: &stdout, stderr: &stderr, environ: tc.environ,
				serve: func(context.Context, order) error { return nil },
			}
			if code := p.run(t.Context(), args); code != exitUsage {
				t.Errorf("exit code %d, want 2", code)
			}
			if diff := cmp.Diff("connectionsd: "+tc.want+"\n", stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if out := stdout.String() + stderr.String(); strings.Contains(out, "hunter2") {
				t.Errorf("%q has the secret in it", out)
			}
		})
	}
}

func TestHelpDoesNotShowSecrets(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "--rpc-login=user:hunter2", "--access-token=hunter2hunter2hunter2", "--help"},
		{"list", "--help"},
	} {
		var stdout, stderr bytes.Buffer
		environ := []string{"CONNECTIONSD_RPC_LOGIN=user:hunter2", "CONNECTIONSD_ACCESS_TOKEN=hunter2hunter2hunter2"}
		if code := run(t.Context(), args, &stdout, &stderr, environ); code != exitOK {
			t.Errorf("%q: exit code %d, want 0", args, code)
		}
		if out := stdout.String() + stderr.String(); strings.Contains(out, "hunter2") {
			t.Errorf("%q: %q has the secret in it", args, out)
		}
	}
}

// However a configuration is printed, its secrets are not.
func TestPrintedConfigurationHasNoSecrets(t *testing.T) {
	cfg, err := resolveArgs(t, []string{"--rpc-login=user:hunter2", "--access-token=hunter2hunter2hunter2"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Interface("config", cfg).Msg("")
	for _, text := range []string{fmt.Sprintf("%v", cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), log.String()} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "[redacted]") {
			t.Errorf("%q, want [redacted] for the secrets", text)
		}
	}
}

func writeFile(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func TestLoginFile(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"a line", "user:pass\n", "user:pass"},
		{"no newline at the end", "user:pass", "user:pass"},
		{"CRLF", "user:pass\r\n", "user:pass"},
		{"more lines", "user:pass\nother:word\n", "user:pass"},
		{"a password with a # and a space at its end", "user:pa #ss \n", "user:pa #ss "},
		{"the longest line", "user:" + strings.Repeat("x", 4091), "user:" + strings.Repeat("x", 4091)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "login", tc.content, 0o600)
			cfg, err := resolveIn(t, []string{"--rpc-login-file=login"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			user, password, _ := strings.Cut(tc.want, ":")
			if want := (rpc.Login{User: user, Password: password}); cfg.RPCLogin != want {
				t.Errorf("user %q, password %q, want %q, %q", cfg.RPCLogin.User, cfg.RPCLogin.Password, user, password)
			}
			if cfg.Warnings != nil {
				t.Errorf("warnings %q", cfg.Warnings)
			}
		})
	}
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "--rpc-login-file: the first line of login: the login has no colon: want USER:PASSWORD"},
		{"an empty line first", "\nuser:hunter2", "--rpc-login-file: the first line of login: the login has no colon: want USER:PASSWORD"},
		{"no user", ":hunter2", "--rpc-login-file: the first line of login: the login has no user before the colon: want USER:PASSWORD"},
		{
			"a line too long", "user:" + strings.Repeat("x", 4092),
			"--rpc-login-file: the first line of login is too long: want at most 4096 bytes",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "login", tc.content, 0o600)
			_, err := resolveIn(t, []string{"--rpc-login-file=login"}, nil)
			wantError(t, err, tc.want)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestAccessErrors(t *testing.T) {
	const wantOrigin = "want an origin such as https://example.org or http://localhost:3000, without a path, or * for any"
	const wantHost = "want a host name without a port, such as node.example.org, or * for any name"
	for _, tc := range []struct {
		name          string
		args, environ []string
		file          string
		want          string
	}{
		{name: "login file absent", args: []string{"--rpc-login-file=login"}, want: "--rpc-login-file: open login: no such file or directory"},
		{name: "login file is a directory", args: []string{"--rpc-login-file=."}, want: "--rpc-login-file: read .: is a directory"},
		{
			name: "login file not named", environ: []string{"CONNECTIONSD_RPC_LOGIN_FILE="},
			want: `CONNECTIONSD_RPC_LOGIN_FILE "": want the name of a file`,
		},
		{
			name: "two logins", args: []string{"--rpc-login-file=login"}, environ: []string{"CONNECTIONSD_RPC_LOGIN=user:hunter2"},
			want: "CONNECTIONSD_RPC_LOGIN and --rpc-login-file: each is a login: want only one of them",
		},
		{
			name: "certificate alone", args: []string{"--rpc-ssl-certificate=c.pem"},
			want: "--rpc-ssl-certificate: there is no --rpc-ssl-private-key with it: want both or neither",
		},
		{
			name: "key alone", args: []string{"--config-file=c.conf"}, file: "rpc-ssl-private-key=k.pem",
			want: "c.conf:1 rpc-ssl-private-key: there is no --rpc-ssl-certificate with it: want both or neither",
		},
		{
			name: "client certificates without TLS", environ: []string{"CONNECTIONSD_RPC_SSL_CA_CERTIFICATES=ca.pem"},
			want: "CONNECTIONSD_RPC_SSL_CA_CERTIFICATES: clients show certificates over TLS only: " +
				"want --rpc-ssl-certificate and --rpc-ssl-private-key too",
		},
		{
			name: "TLS alone does not protect", args: []string{"--rpc-bind-ip=192.0.2.1", "--rpc-ssl-certificate=c", "--rpc-ssl-private-key=k"},
			want: `--rpc-bind-ip "192.0.2.1": not a loopback address, and no login, token or client certificate protects it: ` +
				"want a loopback address such as 127.0.0.1, or --rpc-login-file, --access-token or --rpc-ssl-ca-certificates, " +
				"or --confirm-external-bind to answer all who can reach it",
		},
		{name: "host with a port", args: []string{"--allowed-host=a:1"}, want: `--allowed-host "a:1": ` + wantHost},
		{name: "host of a URL", args: []string{"--allowed-host=http://a"}, want: `--allowed-host "http://a": ` + wantHost},
		{name: "origin with a path", args: []string{"--rpc-access-control-origins=https://a/"}, want: `--rpc-access-control-origins "https://a/": ` + wantOrigin},
		{name: "origin without a scheme", args: []string{"--rpc-access-control-origins=a.example"}, want: `--rpc-access-control-origins "a.example": ` + wantOrigin},
		{name: "origin null", args: []string{"--rpc-access-control-origins=null"}, want: `--rpc-access-control-origins "null": ` + wantOrigin},
		{
			name: "origin with a wildcard", args: []string{"--rpc-access-control-origins=https://*.a.example"},
			want: `--rpc-access-control-origins "https://*.a.example": ` + wantOrigin,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := resolveArgs(t, tc.args, tc.environ, tc.file)
			wantError(t, err, tc.want)
		})
	}
}

// Any of the credentials will do for an address that other hosts can reach.
func TestExternalBindNeedsNoConfirmationWithCredentials(t *testing.T) {
	const clear = "without TLS, tokens and answers cross the network in clear and a login can be taken over: " +
		"want --rpc-ssl-certificate, or a proxy that has one and a loopback --rpc-bind-ip"
	for _, tc := range []struct {
		name     string
		file     string
		warnings []string
	}{
		{"login", "rpc-login=user:pass", []string{clear}},
		{"token", "access-token=0123456789abcdef", []string{clear}},
		{"both", "rpc-login=user:pass\naccess-token=0123456789abcdef", []string{clear}},
		{"client certificates", "rpc-ssl-certificate=c\nrpc-ssl-private-key=k\nrpc-ssl-ca-certificates=ca", nil},
		{"login over TLS", "rpc-login=user:pass\nrpc-ssl-certificate=c\nrpc-ssl-private-key=k", nil},
		{"confirmed and none", "confirm-external-bind=1", nil},
		{"confirmed and a token", "confirm-external-bind=1\naccess-token=0123456789abcdef", []string{clear}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := resolveArgs(t, []string{"--rpc-bind-ip=0.0.0.0", "--config-file=c.conf"}, nil, tc.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.warnings, cfg.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesThatAllMayReadAreWarnedOf(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "login", "user:pass", 0o644)
	writeFile(t, "k.pem", "", 0o644)
	writeFile(t, "c.conf", "access-token=0123456789abcdef", 0o644)
	writeFile(t, "harmless.conf", "height=1", 0o644)
	got := func(args ...string) []string {
		t.Helper()
		cfg, err := resolveIn(t, args, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Warnings
	}
	all := []string{"--rpc-login-file=login", "--rpc-ssl-certificate=c.pem", "--rpc-ssl-private-key=k.pem", "--config-file=c.conf"}
	if diff := cmp.Diff([]string{
		"login: holds the login, and every user of this host may read it: want chmod o-r",
		"k.pem: holds the private key, and every user of this host may read it: want chmod o-r",
		"c.conf: holds a secret, and every user of this host may read it: want chmod o-r",
	}, got(all...)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if warnings := got("--config-file=harmless.conf"); warnings != nil {
		t.Errorf("warnings %q of a file without secrets", warnings)
	}
	for _, name := range []string{"login", "k.pem", "c.conf"} {
		if err := os.Chmod(name, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if warnings := got(all...); warnings != nil {
		t.Errorf("warnings %q of files that not all may read", warnings)
	}
}
