//go:build linux

package measuring

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table is a part of what was found, as it is to be read.
type Table struct {
	Title  string
	Header []string
	Rows   [][]string
}

// Print writes the table for people.
func (t *Table) Print(to io.Writer) error {
	fmt.Fprintln(to, t.Title)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{t.Header}, t.Rows...) {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(to)
	return err
}

// Markdown returns the table in Markdown.
func (t *Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.Title)
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.Header)
	b.WriteString(strings.Repeat("| --- ", len(t.Header)) + "|\n")
	for _, cells := range t.Rows {
		line(cells)
	}
	return b.String()
}
