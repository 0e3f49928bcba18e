package main

import (
	"net/url"
	"slices"
)

// watchColumns are those of list, and the rates of the looks before; by default rates stand in the place of counters.
func watchColumns(listeners bool) []*column {
	if listeners {
		return listenerColumns()
	}
	columns := connectionColumns()
	named := func(name string) *column {
		i := slices.IndexFunc(columns, func(c *column) bool { return c.name == name })
		return columns[i]
	}
	for _, name := range []string{"recv", "sent"} {
		named(name).shown = false
	}
	trend := func(name, heading string, of func(e *entry) []uint64) *column {
		return &column{
			name: name, heading: heading, shown: true, leaves: 3,
			text:  func(e *entry, _ units) string { return sparkline(of(e), trendLength) },
			order: func(a, b *entry) int { return slices.Compare(of(a), of(b)) },
			paint: func(*entry) paint { return cyan },
		}
	}
	var all []*column
	for _, c := range columns {
		switch c.name {
		case "recv-rate", "sent-rate":
			continue
		case "pid":
			recv, sent := named("recv-rate"), named("sent-rate")
			recv.shown, sent.shown = true, true
			all = append(all,
				recv, trend("recv-trend", "RECENTLY", func(e *entry) []uint64 { return e.recvHistory }),
				sent, trend("sent-trend", "RECENTLY", func(e *entry) []uint64 { return e.sentHistory }))
		}
		all = append(all, c)
	}
	return all
}

// availableColumns are those that --columns and --sort may name.
func (o *lookOptions) availableColumns(listeners bool) []*column {
	if o.live {
		return watchColumns(listeners)
	}
	return columnsOf(listeners)
}

// withoutConnectionFilters is a filter without what speaks of connections alone.
func withoutConnectionFilters(filter url.Values) url.Values {
	less := make(url.Values)
	for name, values := range filter {
		if !slices.Contains(connectionFilters(), name) {
			less[name] = values
		}
	}
	return less
}

// connectionFilters are the parameters that say nothing of listeners.
func connectionFilters() []string {
	return []string{"incoming", "states", "remote_port", "remote_address"}
}
