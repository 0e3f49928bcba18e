package main

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// View draws the whole screen.
func (w *watcher) View() tea.View {
	view := tea.NewView(w.text())
	view.AltScreen = true
	return view
}

// The lines around the table: above it two, and below it one for the keys.
const (
	linesAbove = 2
	linesBelow = 1
)

// page is how many connections fit the screen.
func (w *watcher) page() int { return max(1, w.height-linesAbove-linesBelow-1) }

// text is the screen: lines without an end after the last.
func (w *watcher) text() string {
	entries := w.shown()
	lines := []string{w.title(entries), w.totals()}
	if w.mode == helping {
		lines = append(lines, w.help()...)
	} else {
		lines = append(lines, w.table(entries)...)
	}
	if w.height > 0 {
		for len(lines) < w.height-linesBelow {
			lines = append(lines, "")
		}
		lines = append(lines[:max(0, w.height-linesBelow)], w.footer())
	}
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], w.width, ellipsis)
	}
	return strings.Join(lines, "\n")
}

// title says what is shown.
func (w *watcher) title(entries []entry) string {
	of := "this host"
	if w.o.address != nil {
		of = escaped(w.o.address.String())
	}
	number := count(len(w.latest.entries), w.noun())
	if len(entries) < len(w.latest.entries) {
		number = fmt.Sprint(len(entries), " of ", number)
	}
	parts := []string{w.paint(bold, "connectionsd: "+of), number}
	if !w.listeners {
		parts = append(parts, string(w.direction))
	}
	if w.filter != "" && w.mode != typing {
		parts = append(parts, "with "+processText(w.filter))
	}
	if w.paused {
		parts = append(parts, w.paint(yellow, "paused"))
	} else {
		parts = append(parts, "every "+w.o.interval.String())
	}
	return strings.Join(parts, ", ")
}

func (w *watcher) noun() string {
	if w.listeners {
		return "listener"
	}
	return "connection"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprint(n, " ", noun, "s")
}

// totals are the rates of all connections together, or why there is nothing new.
func (w *watcher) totals() string {
	switch {
	case w.latest.err != nil:
		return w.paint(yellow, escaped(w.latest.err.Error()))
	case w.listeners:
		return ""
	}
	one := func(name string, history []uint64) string {
		now := unknownCell
		if len(history) > 0 {
			now = w.o.units.size(history[len(history)-1])
		}
		width := min(totalLength, max(trendLength, w.width/2-20))
		return fmt.Sprintf("%s %8s %s", name, now, w.paint(cyan, sparkline(history, width)))
	}
	return one("RECV/S", w.rates.recv) + "  " + one("SENT/S", w.rates.sent)
}

// table draws the part of the table that fits, around the line that is selected.
func (w *watcher) table(entries []entry) []string {
	w.selected = max(0, min(w.selected, len(entries)-1))
	top, page := 0, len(entries)
	if w.height > 0 {
		page = w.page()
		top = max(0, min(w.selected-page/2, len(entries)-page))
	}
	part := entries[top:min(len(entries), top+page)]
	t := &table{columns: w.marked(w.options().shownColumns())}
	on := screen{isTerminal: true, width: w.width}
	for i := range part {
		t.add(&part[i], w.o.units, on)
	}
	t.measure(true)
	// Columns grow as they need and do not shrink again with every look.
	for i, c := range t.columns {
		t.widths[i] = max(t.widths[i], w.widths[c.name])
		w.widths[c.name] = t.widths[i]
	}
	if !w.o.wide {
		t.fit(w.width, w.chosen[w.listeners] == nil)
		w.left = 0
	}
	w.left = max(0, min(w.left, t.total()-w.width))
	lines := []string{w.cut(t.heading(w.colour))}
	for i := range part {
		line := t.line(i, w.colour && top+i != w.selected)
		if top+i == w.selected && w.height > 0 && w.colour {
			line = reversed.on(padded(ansi.Cut(line, w.left, w.left+w.width), min(w.width, t.total()), false))
		} else {
			line = w.cut(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// cut leaves out what is to the left of the screen.
func (w *watcher) cut(line string) string {
	if w.left == 0 {
		return line
	}
	return ansi.TruncateLeft(line, w.left, "")
}

// marked returns columns, that which is sorted by with an arrow.
func (w *watcher) marked(columns []*column) []*column {
	keys := w.sorts[w.listeners]
	if len(keys) == 0 {
		return columns
	}
	columns = slices.Clone(columns)
	for i, c := range columns {
		if c.name != keys[0].column.name {
			continue
		}
		marked := *c
		marked.heading += map[bool]string{false: "↑", true: "↓"}[keys[0].descending]
		columns[i] = &marked
	}
	return columns
}

// footer says which keys there are now.
func (w *watcher) footer() string {
	switch w.mode {
	case choosing:
		return "sort by " + w.paint(bold, w.sortColumn()) + ": ←→ choose, r reverse, Enter done, Esc back"
	case typing:
		return "filter: " + escaped(w.filter) + w.paint(reversed, " ") + "  Enter done, Esc back"
	case helping:
		return "any key: back"
	}
	return "q quit  s sort  r reverse  / filter  i in/out  l listeners  w wide  u units  space pause  ? help"
}

// help explains the keys.
func (w *watcher) help() []string {
	return strings.Split(strings.TrimSpace(`
q          quit (Ctrl-C too)
↑ ↓ k j    one line up, down; PgUp PgDn a page; Home End g G the first, the last
← →        to the columns at the left, at the right, when all are shown
s          choose the column to sort by: ← → and Enter
r          reverse the order
/          show only lines that have a text in them; Esc: all again
i          show those that came in, those that went out, both
l          what listens, or the connections
w          all columns, or those that fit
u          units: Ki of 1024 bytes, k of 1000 bytes, bytes
space      pause, go on

> before an age: it is at least that. ▁▂▃▄▅▆▇█: the latest rates, each to the
highest of its own line.`), "\n")
}

// paint paints s where there is colour.
func (w *watcher) paint(p paint, s string) string {
	if !w.colour {
		return s
	}
	return p.on(s)
}
