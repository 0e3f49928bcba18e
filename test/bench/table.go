//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// section is what a benchmark found.
type section struct {
	tables  []*table
	targets []target
}

// table is a part of what was found, as it is to be read.
type table struct {
	title  string
	header []string
	rows   [][]string
}

// target is something that is to be reached.
type target struct {
	what     string
	measured string
	want     string
	met      bool
}

// timings returns the table of what measure found.
func timings(title string, rows []timing) *table {
	t := &table{title: title, header: []string{"what", "median", "to the first", "CPU of the daemon", "note"}}
	for _, r := range rows {
		cpu := ""
		if r.cpu > 0 {
			cpu = milliseconds(r.cpu)
		}
		t.rows = append(t.rows, []string{r.name, milliseconds(r.took), times(r.ratio), cpu, r.note})
	}
	return t
}

// targetTable returns the table of all targets.
func targetTable(targets []target) *table {
	met := 0
	t := &table{header: []string{"what", "measured", "target", "verdict"}}
	for _, g := range targets {
		verdict := "not met"
		if g.met {
			verdict = "met"
			met++
		}
		t.rows = append(t.rows, []string{g.what, g.measured, g.want, verdict})
	}
	t.title = fmt.Sprintf("Targets: %d of %d met", met, len(targets))
	return t
}

// print writes the table for people.
func (t *table) print(to io.Writer) error {
	fmt.Fprintln(to, t.title)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{t.header}, t.rows...) {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(to)
	return err
}

// markdown returns the table in Markdown.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	b.WriteString(strings.Repeat("| --- ", len(t.header)) + "|\n")
	for _, cells := range t.rows {
		line(cells)
	}
	return b.String()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func nanoseconds(d time.Duration) string { return fmt.Sprintf("%d ns", d.Nanoseconds()) }

func times(ratio float64) string { return fmt.Sprintf("%.2f x", ratio) }
