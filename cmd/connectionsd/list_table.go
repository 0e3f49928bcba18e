package main

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
)

// gap is between two columns, in cells.
const gap = 2

// table is lines of text in columns.
type table struct {
	columns []*column
	widths  []int      // of the columns, in cells
	cells   [][]string // of each line
	paints  [][]paint  // as cells
}

// newTable makes the table of entries as o and the screen say: on a terminal it fits, elsewhere nothing is shortened, and each
// cell but the last of a line is one word.
func newTable(entries []entry, o *lookOptions, s screen) *table {
	t := &table{columns: o.shownColumns()}
	for i := range entries {
		t.add(&entries[i], o.units, s)
	}
	t.measure(!o.noHeader)
	if s.isTerminal && !o.wide {
		t.fit(s.width, o.columns == nil)
	}
	return t
}

// shownColumns are those that o says, or the default ones.
func (o *lookOptions) shownColumns() []*column {
	if o.columns != nil {
		return o.columns
	}
	columns := o.availableColumns(o.listeners)
	if !o.wide {
		columns = slices.DeleteFunc(columns, func(c *column) bool { return !c.shown && (!o.csv || c.name != "age-exact") })
	}
	return columns
}

// add adds the line of an entry.
func (t *table) add(e *entry, u units, s screen) {
	cells, paints := make([]string, len(t.columns)), make([]paint, len(t.columns))
	for i, c := range t.columns {
		safe := processText
		if !s.isTerminal && i < len(t.columns)-1 {
			safe = wordText
		}
		cells[i] = safe(c.text(e, u))
		switch {
		case cells[i] == unknownCell:
			paints[i] = faint
		case c.paint != nil:
			paints[i] = c.paint(e)
		}
	}
	t.cells, t.paints = append(t.cells, cells), append(t.paints, paints)
}

// measure makes each column as wide as its widest cell.
func (t *table) measure(heading bool) {
	t.widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		if heading {
			t.widths[i] = widthOf(c.heading)
		}
		for _, line := range t.cells {
			t.widths[i] = max(t.widths[i], widthOf(line[i]))
		}
	}
}

// total is how wide a line is.
func (t *table) total() int {
	total := gap * (len(t.widths) - 1)
	for _, width := range t.widths {
		total += width
	}
	return total
}

// fit makes a line at most width cells wide. Columns that may leave do so where those that may be made narrower would become
// too narrow, then the widest is made narrower.
func (t *table) fit(width int, mayLeave bool) {
	for mayLeave && t.total()-t.slack() > width {
		last := -1
		for i, c := range t.columns {
			if c.leaves > 0 && (last < 0 || c.leaves > t.columns[last].leaves) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		t.remove(last)
	}
	for t.total() > width {
		widest := -1
		for i, c := range t.columns {
			if c.least > 0 && t.widths[i] > max(c.least, widthOf(c.heading)) && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
	}
}

// slack is how much narrower a line can be made.
func (t *table) slack() (slack int) {
	for i, c := range t.columns {
		if least := max(c.least, widthOf(c.heading)); c.least > 0 && t.widths[i] > least {
			slack += t.widths[i] - least
		}
	}
	return slack
}

func (t *table) remove(i int) {
	t.columns, t.widths = slices.Delete(slices.Clone(t.columns), i, i+1), slices.Delete(t.widths, i, i+1)
	for n := range t.cells {
		t.cells[n], t.paints[n] = slices.Delete(t.cells[n], i, i+1), slices.Delete(t.paints[n], i, i+1)
	}
}

// heading returns the line of headings.
func (t *table) heading(colour bool) string {
	cells, paints := make([]string, len(t.columns)), make([]paint, len(t.columns))
	for i, c := range t.columns {
		cells[i], paints[i] = c.heading, bold
	}
	return t.join(cells, paints, colour)
}

// line returns the line at index i.
func (t *table) line(i int, colour bool) string { return t.join(t.cells[i], t.paints[i], colour) }

// join makes a line of cells, without blanks at its end.
func (t *table) join(cells []string, paints []paint, colour bool) string {
	var line strings.Builder
	blanks := 0
	for i, c := range t.columns {
		text := cells[i]
		if widthOf(text) > t.widths[i] {
			if c.name == "local" || c.name == "remote" {
				text = shortenedEnd(text, t.widths[i])
			} else {
				text = shortened(text, t.widths[i])
			}
		}
		rest := t.widths[i] - widthOf(text)
		if c.isNumber {
			blanks, rest = blanks+rest, 0
		}
		line.WriteString(strings.Repeat(" ", blanks))
		blanks = rest + gap
		if colour {
			text = paints[i].on(text)
		}
		line.WriteString(text)
	}
	return line.String()
}

// text returns the table, each line with its end.
func (t *table) text(heading, colour bool) []byte {
	var text bytes.Buffer
	if heading {
		text.WriteString(t.heading(colour))
		text.WriteByte('\n')
	}
	for i := range t.cells {
		text.WriteString(t.line(i, colour))
		text.WriteByte('\n')
	}
	return text.Bytes()
}

// csvText returns entries as CSV (RFC 4180, lines end in LF): the names of the columns, then numbers as they are, bytes,
// seconds and microseconds. What is not known is empty.
func csvText(entries []entry, o *lookOptions) ([]byte, error) {
	columns := o.shownColumns()
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	fields := make([]string, len(columns))
	if !o.noHeader {
		for i, c := range columns {
			fields[i] = c.name
		}
		_ = w.Write(fields) // to a Buffer; Error tells
	}
	for i := range entries {
		for n, c := range columns {
			value := c.text(&entries[i], unitsRaw)
			if !c.isNumber {
				value = fieldText(value)
			}
			fields[n] = value
		}
		_ = w.Write(fields)
	}
	w.Flush()
	return text.Bytes(), w.Error()
}
