package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name          string
		args, environ []string
		serveErr      error
		code          int
		stderr        string
	}{
		{name: "serve", args: []string{"serve"}, code: 0},
		{
			name: "serve fails", args: []string{"serve"}, serveErr: errors.New("listen on 127.0.0.1:18081: in use"), code: 1,
			stderr: "connectionsd: listen on 127.0.0.1:18081: in use\n",
		},
		{name: "no command", code: 2, stderr: "connectionsd: no command given: want one of list, serve, version; see connectionsd --help\n"},
		{
			name: "unknown command", args: []string{"backup"}, code: 2,
			stderr: "connectionsd: unknown command \"backup\"; see connectionsd --help\n",
		},
		{
			name: "misspelt command", args: []string{"srve"}, code: 2,
			stderr: "connectionsd: unknown command \"srve\"; did you mean \"serve\"?\n",
		},
		{
			name: "misspelt command with flags", args: []string{"srve", "--height", "1"}, code: 2,
			stderr: "connectionsd: unknown command \"srve\"; did you mean \"serve\"?\n",
		},
		{
			name: "unknown flag", args: []string{"serve", "--zmq-pub", "x"}, code: 2,
			stderr: "connectionsd: unknown flag \"--zmq-pub\"; see connectionsd serve --help\n",
		},
		{
			name: "misspelt flag", args: []string{"serve", "--rpc-bind-prot=1"}, code: 2,
			stderr: "connectionsd: unknown flag \"--rpc-bind-prot\"; did you mean \"--rpc-bind-port\"?\n",
		},
		{
			name: "unknown flag of the root", args: []string{"--version"}, code: 2,
			stderr: "connectionsd: unknown flag \"--version\"; see connectionsd --help\n",
		},
		{
			name: "unknown short flag", args: []string{"serve", "-p", "1"}, code: 2,
			stderr: "connectionsd: unknown flag \"-p\"; see connectionsd serve --help\n",
		},
		{
			name: "bad flag", args: []string{"serve", "---height"}, code: 2,
			stderr: "connectionsd: bad flag \"---height\": want --name or --name=value; see connectionsd serve --help\n",
		},
		{
			name: "flag without a value", args: []string{"serve", "--rpc-bind-port"}, code: 2,
			stderr: "connectionsd: --rpc-bind-port: no value given: want --rpc-bind-port PORT\n",
		},
		{
			name: "flag twice", args: []string{"serve", "--height=1", "--height=2"}, code: 2,
			stderr: "connectionsd: --height \"2\": already set to \"1\": want this flag once\n",
		},
		{
			name: "wrong value", args: []string{"serve", "--rpc-bind-port", "99999"}, code: 2,
			stderr: "connectionsd: --rpc-bind-port \"99999\": want a port from 1 to 65535 (0: any free port)\n",
		},
		{
			name: "wrong variable", args: []string{"serve"}, environ: []string{"CONNECTIONSD_LOG_LEVEL=loud"}, code: 2,
			stderr: "connectionsd: CONNECTIONSD_LOG_LEVEL \"loud\": want trace, debug, info, warn or error\n",
		},
		{
			name: "file absent", args: []string{"serve", "--config-file", "/nonexistent/c.conf"}, code: 2,
			stderr: "connectionsd: --config-file: open /nonexistent/c.conf: no such file or directory\n",
		},
		{
			name: "argument", args: []string{"serve", "now"}, code: 2,
			stderr: "connectionsd: unexpected argument \"now\": want only flags; see connectionsd serve --help\n",
		},
		{
			name: "argument of version", args: []string{"version", "1"}, code: 2,
			stderr: "connectionsd: unexpected argument \"1\": want only flags; see connectionsd version --help\n",
		},
		{
			name: "argument of list", args: []string{"list", "tcp"}, code: 2,
			stderr: "connectionsd: unexpected argument \"tcp\": want only flags; see connectionsd list --help\n",
		},
		{
			name: "flag of serve for list", args: []string{"list", "--height=1"}, code: 2,
			stderr: "connectionsd: unknown flag \"--height\"; see connectionsd list --help\n",
		},
		{
			name: "wrong value for list", args: []string{"list", "--json=yes"}, code: 2,
			stderr: "connectionsd: --json \"yes\": want 1, 0, true or false\n",
		},
		{
			name: "extended table", args: []string{"list", "--extended"}, code: 2,
			stderr: "connectionsd: --extended: adds to the JSON only: want --json --extended\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			served := false
			p := program{
				stdout: &stdout, stderr: &stderr, environ: tc.environ,
				serve: func(context.Context, Config, zerolog.Logger, io.Writer) error {
					served = true
					return tc.serveErr
				},
			}
			if code := p.run(t.Context(), tc.args); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if diff := cmp.Diff(tc.stderr, stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout %q, want nothing", stdout.String())
			}
			if want := tc.code != exitUsage; served != want {
				t.Errorf("served: %v, want %v", served, want)
			}
		})
	}
}

// serve gets the caller's context, the resolved configuration, a logger that writes to stderr, and stdout.
func TestRunServe(t *testing.T) {
	type contextKey struct{}
	ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
	var stdout, stderr bytes.Buffer
	var got Config
	p := program{
		stdout: &stdout, stderr: &stderr, environ: []string{"CONNECTIONSD_RATE_BURST=7"},
		serve: func(ctx context.Context, cfg Config, log zerolog.Logger, stdout io.Writer) error {
			if v := ctx.Value(contextKey{}); v != "the caller's" {
				t.Errorf("context value %v", v)
			}
			got = cfg
			log.Warn().Msg("to stderr")
			_, err := io.WriteString(stdout, "to stdout\n")
			return err
		},
	}
	if code := p.run(ctx, []string{"serve", "--height=5"}); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	want := defaults()
	want.RateBurst, want.Height = 7, 5
	equal(t, got, want)
	if got := stdout.String(); got != "to stdout\n" {
		t.Errorf("stdout %q", got)
	}
	if got := stderr.String(); !strings.HasPrefix(got, `{"level":"warn","time":"20`) || !strings.HasSuffix(got, `Z","message":"to stderr"}`+"\n") {
		t.Errorf("stderr %q", got)
	}
}

func TestRunVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"version"}, &stdout, &stderr, []string{"CONNECTIONSD_BOGUS=1"}); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	info, _ := debug.ReadBuildInfo()
	if got, want := stdout.String(), "connectionsd "+readBuild("", info).String()+"\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if suffix := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")\n"; !strings.HasSuffix(stdout.String(), suffix) {
		t.Errorf("stdout %q, want it to end in %q", stdout.String(), suffix)
	}
	if got := stderr.String(); got != "" {
		t.Errorf("stderr %q, want nothing", got)
	}
}

func TestRunVersionFails(t *testing.T) {
	r, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	closed.Close()
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"version"}, closed, &stderr, nil); code != exitFailure {
		t.Errorf("exit code %d, want 1", code)
	}
	if got, want := stderr.String(), "connectionsd: print version: write |1: file already closed\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

// Help is an answer, not an error: on stdout, with each key's flag in the order of the table.
func TestRunHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"serve", "--help"}, &stdout, &stderr, nil); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	if got := stderr.String(); got != "" {
		t.Errorf("stderr %q, want nothing", got)
	}
	var got, want []string
	for _, k := range keys() {
		want = append(want, "--"+k.name)
	}
	for line := range strings.Lines(stdout.String()) {
		if flag, ok := strings.CutPrefix(line, "      --"); ok {
			name, _, _ := strings.Cut(flag, " ")
			got = append(got, "--"+name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}
