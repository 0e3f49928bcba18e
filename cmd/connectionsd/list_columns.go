package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// column is one of a table.
type column struct {
	name, heading string
	isNumber      bool // stands to the right
	// shown is whether it is there by default, and leaves how early it makes room on a terminal that is too narrow; 0: never.
	shown  bool
	leaves int
	// least is how narrow it may be made on a terminal, in cells; 0: it is not.
	least int
	text  func(e *entry, u units) string // "": not known
	order func(a, b *entry) int
	paint func(e *entry) paint // nil: none
}

// sortKey is one of the columns that lines are sorted by.
type sortKey struct {
	column     *column
	descending bool
}

// ofSocket makes a column of numbers that the member socket has.
func ofSocket(name, heading string, value func(s *socketRecord) uint64, text func(u units, n uint64) string) *column {
	of := func(e *entry) uint64 {
		if e.socket == nil {
			return 0
		}
		return value(e.socket)
	}
	return &column{
		name: name, heading: heading, isNumber: true,
		text: func(e *entry, u units) string {
			if e.socket == nil {
				return ""
			}
			return text(u, of(e))
		},
		order: func(a, b *entry) int { return cmp.Compare(of(a), of(b)) },
	}
}

// word makes a column of text that others choose.
func word(name, heading string, least int, value func(e *entry) string) *column {
	return &column{
		name: name, heading: heading, least: least,
		text:  func(e *entry, _ units) string { return value(e) },
		order: func(a, b *entry) int { return cmp.Compare(value(a), value(b)) },
	}
}

// amount makes a column of bytes, or bytes a second.
func amount(name, heading string, value func(e *entry) uint64, known func(e *entry) bool) *column {
	return &column{
		name: name, heading: heading, isNumber: true,
		text: func(e *entry, u units) string {
			if !known(e) {
				return ""
			}
			return u.size(value(e))
		},
		order: func(a, b *entry) int { return cmp.Compare(value(a), value(b)) },
	}
}

// seconds makes a column of times.
func seconds(name, heading string, value func(e *entry) (uint64, bool)) *column {
	return &column{
		name: name, heading: heading, isNumber: true,
		text: func(e *entry, u units) string { n, exact := value(e); return u.duration(n, exact) },
		order: func(a, b *entry) int {
			x, _ := value(a)
			y, _ := value(b)
			return cmp.Compare(x, y)
		},
	}
}

func plainNumber(_ units, n uint64) string { return strconv.FormatUint(n, 10) }

// knownNumber is plainNumber for a number that is 0 where it is not known.
func knownNumber(_ units, n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func knownRoundTrip(u units, microseconds uint64) string {
	if microseconds == 0 {
		return ""
	}
	return u.roundTrip(microseconds)
}

// leaving makes c a column that is shown by default, unless the terminal is too narrow: those with the greatest number leave
// first.
func leaving(number int, c *column) *column {
	c.shown, c.leaves = true, number
	return c
}

func always(e *entry) bool { return true }

func endColumn(name, heading string, value func(e *entry) end) *column {
	return &column{
		name: name, heading: heading, shown: true, least: 15,
		text: func(e *entry, _ units) string { return value(e).String() },
		order: func(a, b *entry) int {
			x, y := value(a), value(b)
			return cmp.Or(x.addr.Compare(y.addr), cmp.Compare(x.text, y.text))
		},
	}
}

// ownerColumns are those that connections and listeners have in common.
func ownerColumns() (pid, process, container *column, rest []*column) {
	pid = leaving(5, ofSocket("pid", "PID", func(s *socketRecord) uint64 { return s.PID }, knownNumber))
	process = leaving(0, word("process", "PROCESS", 8, func(e *entry) string { return e.process }))
	container = leaving(6, word("container", "CONTAINER", 8, func(e *entry) string { return e.container }))
	return pid, process, container, []*column{
		word("runtime", "RUNTIME", 6, func(e *entry) string { return e.engine }),
		ofSocket("uid", "UID", func(s *socketRecord) uint64 { return s.UID }, plainNumber),
		ofSocket("netns", "NETNS", func(s *socketRecord) uint64 { return s.NetNS }, plainNumber),
		ofSocket("inode", "INODE", func(s *socketRecord) uint64 { return s.Inode }, knownNumber),
		ofSocket("cookie", "COOKIE", func(s *socketRecord) uint64 { return s.Cookie }, plainNumber),
	}
}

// connectionColumns are those of connections, in the order of --wide.
func connectionColumns() []*column {
	pid, process, container, rest := ownerColumns()
	direction := leaving(0, word("dir", "DIR", 0, func(e *entry) string { return directionWord(e.incoming) }))
	direction.paint = func(e *entry) paint { return map[bool]paint{false: blue, true: green}[e.incoming] }
	state := leaving(1, word("state", "STATE", 5, func(e *entry) string { return e.state }))
	state.paint = func(e *entry) paint { return statePaint(e.state) }
	age := leaving(4, seconds("age", "AGE", func(e *entry) (uint64, bool) { return e.liveTime, e.exact }))
	hasRates := func(e *entry) bool { return e.rates }
	return append([]*column{
		direction, state,
		endColumn("local", "LOCAL", func(e *entry) end { return e.local }),
		endColumn("remote", "REMOTE", func(e *entry) end { return e.remote }),
		age,
		leaving(2, amount("recv", "RECV", func(e *entry) uint64 { return e.recv }, always)),
		leaving(3, amount("sent", "SENT", func(e *entry) uint64 { return e.sent }, always)),
		pid, process, container,
		amount("recv-rate", "RECV/S", func(e *entry) uint64 { return e.recvRate }, hasRates),
		amount("sent-rate", "SENT/S", func(e *entry) uint64 { return e.sentRate }, hasRates),
		seconds("recv-idle", "RECV-IDLE", func(e *entry) (uint64, bool) { return e.recvIdle, true }),
		seconds("sent-idle", "SENT-IDLE", func(e *entry) (uint64, bool) { return e.sentIdle, true }),
		ofSocket("rtt", "RTT", func(s *socketRecord) uint64 { return s.RTT }, knownRoundTrip),
		ofSocket("min-rtt", "MIN-RTT", func(s *socketRecord) uint64 { return s.MinRTT }, knownRoundTrip),
		ofSocket("retransmits", "RETRANS", func(s *socketRecord) uint64 { return s.Retransmits }, plainNumber),
		ofSocket("window", "WINDOW", func(s *socketRecord) uint64 { return s.CongestionWindow }, plainNumber),
		ofSocket("delivery-rate", "DELIVERY/S", func(s *socketRecord) uint64 { return s.DeliveryRate }, func(u units, n uint64) string { return u.size(n) }),
		word("congestion", "CONGESTION", 0, func(e *entry) string {
			if e.socket == nil {
				return ""
			}
			return e.socket.CongestionState
		}),
		{
			name: "age-exact", heading: "AGE-EXACT",
			text:  func(e *entry, _ units) string { return strconv.FormatBool(e.exact) },
			order: func(a, b *entry) int { return cmp.Compare(strconv.FormatBool(a.exact), strconv.FormatBool(b.exact)) },
		},
		word("id", "ID", 8, func(e *entry) string { return e.id }),
	}, rest...)
}

// listenerColumns are those of listeners.
func listenerColumns() []*column {
	pid, process, container, rest := ownerColumns()
	pid.leaves = 0
	return append([]*column{
		endColumn("local", "LOCAL", func(e *entry) end { return e.local }),
		pid, process,
		leaving(1, word("service", "SERVICE", 8, func(e *entry) string { return e.service })),
		container,
		leaving(2, word("reach", "REACH", 12, func(e *entry) string { return e.reach })),
		word("command", "COMMAND", 8, func(e *entry) string { return e.command }),
	}, rest...)
}

func columnsOf(listeners bool) []*column {
	if listeners {
		return listenerColumns()
	}
	return connectionColumns()
}

// findColumn returns the column of a name.
func findColumn(columns []*column, name string) (*column, error) {
	var names []string
	for _, c := range columns {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return nil, fmt.Errorf("there is no such column: want some of %s", strings.Join(names, ", "))
}

// sortEntries sorts by keys, then in the default order: outgoing before incoming, each by local port, then by remote address
// and port; listeners by port, then by address. The rest only makes the order one.
func sortEntries(entries []entry, keys []sortKey) {
	// Pointers are sorted, since an entry is large.
	order := make([]*entry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortFunc(order, func(a, b *entry) int {
		for _, k := range keys {
			if n := k.column.order(a, b); n != 0 {
				if k.descending {
					return -n
				}
				return n
			}
		}
		return compareEntries(a, b)
	})
	sorted := make([]entry, len(entries))
	for i, e := range order {
		sorted[i] = *e
	}
	copy(entries, sorted)
}

// compareEntries is the default order. What seldom decides comes last and is not looked at before.
func compareEntries(a, b *entry) int {
	if a.incoming != b.incoming {
		if b.incoming {
			return -1
		}
		return 1
	}
	if n := cmp.Compare(a.local.addr.Port(), b.local.addr.Port()); n != 0 {
		return n
	}
	if n := a.remote.addr.Compare(b.remote.addr); n != 0 {
		return n
	}
	if n := a.local.addr.Compare(b.local.addr); n != 0 {
		return n
	}
	return cmp.Or(
		cmp.Compare(a.remote.text, b.remote.text),
		cmp.Compare(a.local.text, b.local.text),
		cmp.Compare(a.netns(), b.netns()),
		cmp.Compare(a.cookie(), b.cookie()),
		cmp.Compare(a.id, b.id),
	)
}

func (e *entry) netns() uint64 {
	if e.socket == nil {
		return 0
	}
	return e.socket.NetNS
}

func (e *entry) cookie() uint64 {
	if e.socket == nil {
		return 0
	}
	return e.socket.Cookie
}

func directionWord(incoming bool) string {
	if incoming {
		return "in"
	}
	return "out"
}
