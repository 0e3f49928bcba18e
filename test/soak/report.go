//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// section is what a trial found.
type section struct {
	figures []figure
	tables  []*measuring.Table
}

// figure is something that was measured, and what it is held against.
type figure struct {
	what     string
	measured string
	want     string // "": it is told, and held against nothing
	met      bool
}

// told is a figure that is held against nothing.
func told(what, format string, values ...any) figure {
	return figure{what: what, measured: fmt.Sprintf(format, values...)}
}

// wants is a figure that is held against a target.
func wants(what, measured, want string, met bool) figure { return figure{what, measured, want, met} }

// timed is a figure of time. In a short run, which other programs may disturb, it is told.
func (o *options) timed(what, measured, want string, met bool) figure {
	if o.short {
		return told(what, "%s (%s)", measured, want)
	}
	return wants(what, measured, want, met)
}

func (f figure) verdict() string {
	switch {
	case f.want == "":
		return ""
	case f.met:
		return "met"
	default:
		return "NOT MET"
	}
}

// print writes what was found for people.
func (s *section) print(to io.Writer, title string) error {
	t := &measuring.Table{Title: title, Header: []string{"figure", "measured", "target", "verdict"}}
	for _, f := range s.figures {
		t.Rows = append(t.Rows, []string{f.what, f.measured, f.want, f.verdict()})
	}
	for _, t := range append(s.tables, t) {
		if err := t.Print(to); err != nil {
			return err
		}
	}
	return nil
}

// conclude says how many targets are met. It is an error if one is not.
func conclude(to io.Writer, all []figure) error {
	targets := 0
	var missed []string
	for _, f := range all {
		if f.want == "" {
			continue
		}
		targets++
		if !f.met {
			missed = append(missed, f.what)
		}
	}
	fmt.Fprintf(to, "%d of %d targets met\n", targets-len(missed), targets)
	if missed != nil {
		return fmt.Errorf("not met: %s", strings.Join(missed, "; "))
	}
	return nil
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
