//go:build linux

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table is what a benchmark found.
type table struct {
	title string
	rows  []row
}

type row struct {
	name  string
	took  time.Duration
	ratio float64 // to the first row
	note  string
}

func (t *table) print(to io.Writer) error {
	fmt.Fprintln(to, t.title)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%.1f ms\t%.2f x\t%s\n", r.name, float64(r.took)/float64(time.Millisecond), r.ratio, r.note)
	}
	return w.Flush()
}
