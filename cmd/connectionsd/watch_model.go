package main

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// mode is what keys mean at the moment.
type mode int

const (
	browsing mode = iota
	choosing      // the column to sort by
	typing        // the text to filter by
	helping
)

// direction is which connections are shown.
type direction string

const (
	both     direction = "in and out"
	incoming direction = "in"
	outgoing direction = "out"
)

// watcher is what watch shows: a tea.Model. Its looks come as messages, a sight each.
type watcher struct {
	o      lookOptions
	colour bool
	tell   func(listeners, paused bool) // what to look at from now on

	latest sight
	rates  rates

	mode      mode
	listeners bool
	paused    bool
	direction direction
	filter    string
	before    struct { // what Esc goes back to
		filter string
		sort   []sortKey
	}
	sorts    map[bool][]sortKey // of connections and of listeners
	chosen   map[bool][]*column // --columns, for what it was said of
	selected int                // index of a line
	left     int                // how many cells are to the left of the screen

	width, height int // cells; height 0: as high as it takes
	widths        map[string]int
}

// newWatcher returns one that shows what o says.
func newWatcher(o *lookOptions, colour bool, tell func(listeners, paused bool)) *watcher {
	w := &watcher{
		o: *o, colour: colour, tell: tell, listeners: o.listeners, direction: both, width: defaultWidth, height: 24,
		sorts: map[bool][]sortKey{o.listeners: o.sort}, chosen: map[bool][]*column{o.listeners: o.columns}, widths: make(map[string]int),
	}
	if w.sorts[false] == nil {
		w.sorts[false] = w.busiestFirst()
	}
	return w
}

// busiestFirst is the order of connections unless another is chosen.
func (w *watcher) busiestFirst() []sortKey {
	columns := w.o.availableColumns(false)
	recv, _ := findColumn(columns, "recv-rate") // both are there
	sent, _ := findColumn(columns, "sent-rate")
	return []sortKey{{recv, true}, {sent, true}}
}

// Init is a tea.Model's.
func (w *watcher) Init() tea.Cmd { return nil }

// Update takes a look, a key or a size of the terminal.
func (w *watcher) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case sight:
		if !w.paused {
			w.take(message)
		}
	case tea.WindowSizeMsg:
		w.width, w.height = message.Width, message.Height
		clear(w.widths)
	case tea.PasteMsg:
		if w.mode == typing {
			w.filter += plainPaste(message.Content)
		}
	case tea.KeyPressMsg:
		return w, w.press(message)
	}
	return w, nil
}

// take takes what a look saw. An error leaves what was seen before.
func (w *watcher) take(seen sight) {
	switch {
	case seen.listeners != w.listeners: // asked for before the key was pressed
	case seen.err != nil:
		w.latest.err = seen.err
	default:
		if !seen.listeners {
			w.rates.take(seen.entries, seen.at)
		}
		w.latest = seen
	}
}

// press does what a key says. ctrl+c ends it whatever the mode.
func (w *watcher) press(key tea.KeyPressMsg) tea.Cmd {
	name := key.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	switch w.mode {
	case choosing:
		w.choose(name)
	case typing:
		w.typed(name, key.Text)
	case helping:
		w.mode = browsing
		if name == "q" {
			return tea.Quit
		}
	default:
		return w.browse(name)
	}
	return nil
}

func (w *watcher) browse(name string) tea.Cmd {
	switch name {
	case "q":
		return tea.Quit
	case "up", "k":
		w.selected--
	case "down", "j":
		w.selected++
	case "pgup":
		w.selected -= w.page()
	case "pgdown":
		w.selected += w.page()
	case "home", "g":
		w.selected = 0
	case "end", "G", "shift+g":
		w.selected = len(w.latest.entries)
	case "left":
		w.left -= 8
	case "right":
		w.left += 8
	case "s":
		w.before.sort = w.sorts[w.listeners]
		w.mode = choosing
	case "r":
		w.reverse()
	case "/":
		w.before.filter = w.filter
		w.mode = typing
	case "esc":
		w.filter = ""
	case "i":
		w.direction = map[direction]direction{both: incoming, incoming: outgoing, outgoing: both}[w.direction]
	case "l":
		w.listeners, w.selected, w.left = !w.listeners, 0, 0
		w.latest = sight{listeners: w.listeners}
		clear(w.widths)
		w.tell(w.listeners, w.paused)
	case "w":
		w.o.wide, w.left = !w.o.wide, 0
		clear(w.widths)
	case "u":
		w.o.units = w.o.units.next()
		clear(w.widths)
	case "space":
		w.paused = !w.paused
		w.tell(w.listeners, w.paused)
	case "?":
		w.mode = helping
	}
	w.selected = max(0, min(w.selected, len(w.shown())-1))
	return nil
}

// choose moves the column to sort by along those that are shown.
func (w *watcher) choose(name string) {
	columns := w.options().shownColumns()
	at := slices.IndexFunc(columns, func(c *column) bool { return c.name == w.sortColumn() })
	switch name {
	case "left", "h":
		at--
	case "right", "l":
		at++
	case "r":
		w.reverse()
		return
	case "esc":
		w.sorts[w.listeners], w.mode = w.before.sort, browsing
		return
	case "enter", "s", "space":
		w.mode = browsing
		return
	default:
		return
	}
	c := columns[(at+len(columns))%len(columns)]
	w.sorts[w.listeners] = []sortKey{{c, c.isNumber}} // of numbers the largest first
}

// sortColumn is the name of the column that is sorted by first, "" in the order of list.
func (w *watcher) sortColumn() string {
	if keys := w.sorts[w.listeners]; len(keys) > 0 {
		return keys[0].column.name
	}
	return ""
}

// reverse turns the order round, first of all that of the first column.
func (w *watcher) reverse() {
	keys := slices.Clone(w.sorts[w.listeners])
	if keys == nil {
		keys = []sortKey{{w.options().shownColumns()[0], false}}
	}
	for i := range keys {
		keys[i].descending = !keys[i].descending
	}
	w.sorts[w.listeners] = keys
}

func (w *watcher) typed(name, text string) {
	switch name {
	case "enter":
		w.mode = browsing
	case "esc":
		w.filter, w.mode = w.before.filter, browsing
	case "backspace":
		runes := []rune(w.filter)
		w.filter = string(runes[:max(0, len(runes)-1)])
	case "ctrl+u":
		w.filter = ""
	default:
		w.filter += text
	}
	w.selected = 0
}

// plainPaste is the first line of what was pasted.
func plainPaste(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	return strings.TrimRight(line, "\r")
}

// options are those that are in force now.
func (w *watcher) options() *lookOptions {
	o := w.o
	o.listeners, o.columns = w.listeners, w.chosen[w.listeners]
	if o.wide {
		o.columns = nil
	}
	return &o
}

// shown are the entries that are not filtered out, sorted.
func (w *watcher) shown() []entry {
	o := w.options()
	columns := o.shownColumns()
	entries := slices.DeleteFunc(slices.Clone(w.latest.entries), func(e entry) bool {
		if !w.listeners && (w.direction == incoming && !e.incoming || w.direction == outgoing && e.incoming) {
			return true
		}
		return w.filter != "" && !matches(&e, columns, w.filter, o.units)
	})
	sortEntries(entries, w.sorts[w.listeners])
	if o.limit > 0 {
		entries = entries[:min(len(entries), o.limit)]
	}
	return entries
}

// matches reports whether text stands in one of the columns of e, as they are shown, in whichever case.
func matches(e *entry, columns []*column, text string, u units) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(columns, func(c *column) bool {
		return strings.Contains(strings.ToLower(processText(c.text(e, u))), text)
	})
}
