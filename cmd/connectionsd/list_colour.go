package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// colourMode says when colours are shown.
type colourMode string

const (
	colourAuto   colourMode = "auto"
	colourAlways colourMode = "always"
	colourNever  colourMode = "never"
)

func parseColourMode(s string) (colourMode, error) {
	switch m := colourMode(s); m {
	case colourAuto, colourAlways, colourNever:
		return m, nil
	}
	return "", errors.New("want auto, always or never")
}

// paint is how a text looks: parameters of SGR (ECMA-48), of the 8 colours that every terminal lets its user choose.
type paint string

const (
	bold     paint = "1"
	faint    paint = "2"
	reversed paint = "7"
	green    paint = "32"
	yellow   paint = "33"
	blue     paint = "34"
	magenta  paint = "35"
	cyan     paint = "36"
)

// on returns s so painted.
func (p paint) on(s string) string {
	if p == "" || s == "" {
		return s
	}
	return "\x1b[" + string(p) + "m" + s + "\x1b[0m"
}

// statePaint tells states in which a connection comes and goes from those in which it stays.
func statePaint(state string) paint {
	switch state {
	case "ESTABLISHED", "normal":
		return ""
	case "SYN_SENT", "SYN_RECV", "before_handshake":
		return yellow
	default:
		return magenta
	}
}

// screen is what a table is printed on.
type screen struct {
	isTerminal bool
	width      int // cells, of a terminal
	colour     bool
}

// defaultWidth is that of a terminal that does not tell its own.
const defaultWidth = 80

// screenOf looks at where w leads.
func screenOf(w io.Writer, mode colourMode, environ []string) screen {
	s := screen{colour: mode == colourAlways}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.isTerminal, s.width = true, defaultWidth
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		s.width = width
	}
	// no-color.org: any value but the empty one. A terminal that is called dumb shows no colours either.
	s.colour = s.colour || mode == colourAuto && variable(environ, "NO_COLOR") == "" && variable(environ, "TERM") != "dumb"
	return s
}

// variable returns the value of an environment variable, "" if it is not set.
func variable(environ []string, name string) (value string) {
	for _, v := range environ {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}
