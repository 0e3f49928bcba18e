package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestLogger(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 4, 7, 8, 9, 10_999_999, time.FixedZone("", 2*60*60)) }
	const (
		jsonLine    = `{"level":"warn","addr":"127.0.0.1:18081","error":"in use","time":"2026-03-04T05:08:09.010Z","message":"listen"}` + "\n"
		consoleLine = `2026-03-04T05:08:09.010Z WRN listen error="in use" addr=127.0.0.1:18081` + "\n"
		colourLine  = "\x1b[90m2026-03-04T05:08:09.010Z\x1b[0m \x1b[33mWRN\x1b[0m \x1b[1mlisten\x1b[0m " +
			"\x1b[36merror=\x1b[0m\x1b[31m\x1b[1m\"in use\"\x1b[0m\x1b[0m \x1b[36maddr=\x1b[0m127.0.0.1:18081\n"
	)
	for _, tc := range []struct {
		name     string
		format   logFormat
		terminal bool
		want     string
	}{
		{"auto, no terminal", logAuto, false, jsonLine},
		{"auto, terminal", logAuto, true, colourLine},
		{"json, no terminal", logJSON, false, jsonLine},
		{"json, terminal", logJSON, true, jsonLine},
		{"console, no terminal", logConsole, false, consoleLine},
		{"console, terminal", logConsole, true, colourLine},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", "") // zerolog heeds it
			var out bytes.Buffer
			log, _ := newLoggerAt(Config{LogFormat: tc.format, LogLevel: zerolog.WarnLevel}, &out, tc.terminal, now)
			log.Info().Msg("below the level")
			log.Warn().Str("addr", "127.0.0.1:18081").Err(errors.New("in use")).Msg("listen")
			if got := out.String(); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// The loggers derived from it carry the time once.
func TestLoggerDerived(t *testing.T) {
	var out bytes.Buffer
	now := func() time.Time { return time.Unix(0, 0) }
	log, _ := newLoggerAt(Config{LogFormat: logJSON, LogLevel: zerolog.InfoLevel}, &out, false, now)
	log = log.With().Str("part", "rpc").Logger()
	log.Info().Msg("ready")
	if got, want := out.String(), `{"level":"info","part":"rpc","time":"1970-01-01T00:00:00.000Z","message":"ready"}`+"\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A level that is set later counts for the loggers that were derived before.
func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	log, level := newLoggerAt(Config{LogFormat: logJSON, LogLevel: zerolog.WarnLevel}, &out, false, func() time.Time { return time.Unix(0, 0) })
	derived := log.With().Str("part", "rpc").Logger()
	for _, test := range []struct {
		level zerolog.Level
		want  []string
	}{
		{zerolog.WarnLevel, []string{"warn", "error"}},
		{zerolog.TraceLevel, []string{"trace", "debug", "info", "warn", "error"}},
		{zerolog.ErrorLevel, []string{"error"}},
		{zerolog.InfoLevel, []string{"info", "warn", "error"}},
	} {
		level.set(test.level)
		for _, log := range []*zerolog.Logger{&log, &derived} {
			out.Reset()
			for _, event := range []*zerolog.Event{log.Trace(), log.Debug(), log.Info(), log.Warn(), log.Error()} {
				event.Msg("")
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				_, rest, _ := strings.Cut(line, `"level":"`)
				name, _, _ := strings.Cut(rest, `"`)
				got = append(got, name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.level, diff)
			}
		}
	}
}

func TestIsTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(w) {
		t.Error("a pipe is taken for a terminal")
	}
	if isTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is taken for a terminal")
	}
}
