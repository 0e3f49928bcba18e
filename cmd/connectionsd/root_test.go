package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// run executes a command line as main does, but for SIGHUP.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, environ []string) int {
	return program{stdout: stdout, stderr: stderr, environ: environ, serve: serve}.run(ctx, args)
}

// outcome is what a command line came to.
type outcome struct {
	Code           int
	Stdout, Stderr string
}

func outcomeOf(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr, environ)
	return outcome{code, stdout.String(), stderr.String()}
}

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
		{name: "no command", code: 2, stderr: "connectionsd: no command given: want one of completion, config, list, serve, version, watch; see connectionsd --help\n"},
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
				serve: func(context.Context, order) error {
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
		serve: func(ctx context.Context, o order) error {
			if v := ctx.Value(contextKey{}); v != "the caller's" {
				t.Errorf("context value %v", v)
			}
			got = o.config
			o.log.Warn().Msg("to stderr")
			_, err := io.WriteString(o.stdout, "to stdout\n")
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

// serve is given what reads the same flags and variables again, and the file as it is by then; and SIGHUPs from before it read
// them first.
func TestRunServeAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "c.conf", "height=1\nrate-burst=1\n", 0o600)
	hangups := make(chan os.Signal)
	var stderr bytes.Buffer
	p := program{
		stderr: &stderr, environ: []string{"CONNECTIONSD_RATE_BURST=7"},
		hangups: func() <-chan os.Signal {
			writeFile(t, "c.conf", "height=2\n", 0o600)
			return hangups
		},
		serve: func(_ context.Context, o order) error {
			if o.config.Height != 2 || o.hangups != hangups {
				t.Errorf("height %d, hangups %v, want 2, %v: they were asked for too late", o.config.Height, o.hangups, hangups)
			}
			writeFile(t, "c.conf", "height=3\nlog-level=debug\n", 0o600)
			next, err := o.again()
			if err != nil || next.Height != 3 || next.RateBurst != 7 || next.RPCBindPort != 5 || next.LogLevel != zerolog.DebugLevel {
				t.Errorf("%+v, %v, want height 3, rate-burst 7, rpc-bind-port 5, log-level debug", next, err)
			}
			writeFile(t, "c.conf", "height=x\n", 0o600)
			_, err = o.again()
			wantError(t, err, `c.conf:1 height "x": want a whole number from 0 to 18446744073709551615`)
			return nil
		},
	}
	if code := p.run(t.Context(), []string{"serve", "--config-file=c.conf", "--rpc-bind-port=5"}); code != exitOK {
		t.Errorf("exit code %d, %s", code, stderr.String())
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

// Help is an answer, not an error: on stdout, with each key's flag in the order of the table, below the heading of its section.
func TestRunHelp(t *testing.T) {
	var want []string
	for _, s := range sections() {
		want = append(want, s.heading+":")
		for _, k := range s.keys {
			want = append(want, "--"+k.name)
		}
	}
	for _, tc := range []struct {
		args []string
		own  []string
	}{
		{[]string{"serve"}, []string{"Flags:"}},
		{[]string{"config", "check"}, []string{"Flags:"}},
		{[]string{"config", "show"}, []string{"Flags:", "--json", "--changed"}},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append(tc.args, "--help"), &stdout, &stderr, nil); code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}
		if got := stderr.String(); got != "" {
			t.Errorf("stderr %q, want nothing", got)
		}
		_, groups, _ := strings.Cut(stdout.String(), "\nFlags:\n")
		got := []string{"Flags:"}
		for line := range strings.Lines(groups) {
			if flag, ok := strings.CutPrefix(line, "      --"); ok {
				name, _, _ := strings.Cut(flag, " ")
				name, _, _ = strings.Cut(name, "[")
				got = append(got, "--"+name)
			} else if heading := strings.TrimSuffix(line, "\n"); strings.HasSuffix(heading, ":") {
				got = append(got, heading)
			}
		}
		if diff := cmp.Diff(slices.Concat(tc.own, want), got); diff != "" {
			t.Errorf("%q: flags (-want +got):\n%s", tc.args, diff)
		}
	}
}

// Every command shows how it is used, and each of its flags once, on lines that fit a screen.
func TestHelpOfEveryCommand(t *testing.T) {
	for cmd := range allCommands(newRootCommand(program{})) {
		args := strings.Fields(cmd.CommandPath())[1:]
		got := outcomeOf(t, nil, append(args, "--help")...)
		if got.Code != exitOK || got.Stderr != "" {
			t.Errorf("%q: exit code %d, stderr %q", args, got.Code, got.Stderr)
		}
		if !strings.Contains(got.Stdout, "\nExamples:\n  ") {
			t.Errorf("%s --help shows no example", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			shown := 0
			_, usage, _ := strings.Cut(got.Stdout, "\nUsage:\n")
			for line := range strings.Lines(usage) {
				line, _ = strings.CutPrefix(strings.TrimSpace(line), "-"+f.Shorthand+", ")
				if name, _, _ := strings.Cut(line, " "); name == "--"+f.Name || strings.HasPrefix(name, "--"+f.Name+"[") {
					shown++
				}
			}
			if want := map[bool]int{false: 1, true: 0}[f.Hidden]; shown != want {
				t.Errorf("%s --help shows --%s %d times, want %d", cmd.CommandPath(), f.Name, shown, want)
			}
		})
		for line := range strings.Lines(got.Stdout) {
			if n := utf8.RuneCountInString(line); n > 125 {
				t.Errorf("%s --help has a line of %d characters: %s", cmd.CommandPath(), n, line)
			}
		}
	}
}

// allCommands yields a command and those below it that its help lists.
func allCommands(cmd *cobra.Command) iter.Seq[*cobra.Command] {
	return func(yield func(*cobra.Command) bool) {
		cmd.InitDefaultHelpFlag()
		if !yield(cmd) {
			return
		}
		for _, c := range cmd.Commands() {
			if !c.IsAvailableCommand() {
				continue
			}
			for below := range allCommands(c) {
				if !yield(below) {
					return
				}
			}
		}
	}
}
