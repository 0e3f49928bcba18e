//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// section is what a benchmark found.
type section struct {
	tables  []*measuring.Table
	targets []target
}

// target is something that is to be reached.
type target struct {
	what     string
	measured string
	want     string
	met      bool
}

// timings returns the table of what measure found.
func timings(title string, rows []timing) *measuring.Table {
	t := &measuring.Table{Title: title, Header: []string{"what", "median", "to the first", "CPU of the daemon", "note"}}
	for _, r := range rows {
		cpu := ""
		if r.cpu > 0 {
			cpu = milliseconds(r.cpu)
		}
		t.Rows = append(t.Rows, []string{r.name, milliseconds(r.took), times(r.ratio), cpu, r.note})
	}
	return t
}

// targetTable returns the table of all targets.
func targetTable(targets []target) *measuring.Table {
	met := 0
	t := &measuring.Table{Header: []string{"what", "measured", "target", "verdict"}}
	for _, g := range targets {
		verdict := "not met"
		if g.met {
			verdict = "met"
			met++
		}
		t.Rows = append(t.Rows, []string{g.what, g.measured, g.want, verdict})
	}
	t.Title = fmt.Sprintf("Targets: %d of %d met", met, len(targets))
	return t
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func nanoseconds(d time.Duration) string { return fmt.Sprintf("%d ns", d.Nanoseconds()) }

func times(ratio float64) string { return fmt.Sprintf("%.2f x", ratio) }
