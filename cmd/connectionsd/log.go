package main

import (
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// logTime is RFC 3339 with milliseconds. Times are UTC, so that logs of several hosts line up.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// logFormat is how a log line is written.
type logFormat string

const (
	logAuto    logFormat = "auto"    // console on a terminal, else json
	logJSON    logFormat = "json"    // one JSON object a line
	logConsole logFormat = "console" // for a person to read
)

// logLevel is the least level that a logger, and all that are derived from it, log now. As a zerolog.Sampler it is asked
// before anything of an event is made.
type logLevel struct{ least atomic.Int32 }

func (l *logLevel) set(least zerolog.Level) { l.least.Store(int32(least)) }

// Sample reports whether an event of a level is logged.
func (l *logLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.least.Load() }

// newLogger returns the logger that cfg asks for, and what changes its level. It writes to w, which is a terminal or not for
// logAuto and for colours.
func newLogger(cfg Config, w io.Writer) (zerolog.Logger, *logLevel) {
	return newLoggerAt(cfg, w, isTerminal(w), time.Now)
}

func newLoggerAt(cfg Config, w io.Writer, terminal bool, now func() time.Time) (zerolog.Logger, *logLevel) {
	if cfg.LogFormat == logConsole || cfg.LogFormat == logAuto && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: logTime, TimeLocation: time.UTC}
	}
	// A hook and not With().Timestamp(): that one takes its format and its clock from variables of the whole process.
	stamp := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, now().UTC().Format(logTime))
	})
	level := new(logLevel)
	level.set(cfg.LogLevel)
	return zerolog.New(w).Level(zerolog.TraceLevel).Sample(level).Hook(stamp), level
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
