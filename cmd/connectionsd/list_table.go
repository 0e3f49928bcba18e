package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/connectionsd/connectionsd/model"
)

// connections returns the extended records of snap's connections.
func connections(snap *model.Snapshot) []model.Connection {
	var records []model.Connection
	for i := range snap.Sockets {
		if !snap.Sockets[i].State.IsConnection() {
			continue
		}
		record, detail := snap.Connection(i), snap.Detail(i)
		record.Socket = &detail
		records = append(records, record)
	}
	return records
}

// connectionTable returns extended records as a table: a line of headings, then a line for each, in the order of
// compareConnections, into which it sorts records.
func connectionTable(records []model.Connection) []byte {
	slices.SortFunc(records, compareConnections)
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	// Neither a Buffer nor the tabwriter over it fails.
	fmt.Fprintln(w, "DIR\tSTATE\tLOCAL\tREMOTE\tAGE\tRECV\tSENT\tPID\tPROCESS")
	for i := range records {
		c := &records[i]
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%s\t%s\t%s\t%s\t%s\n",
			directionWord(c.Incoming), c.Socket.TCPState, c.Socket.Local, c.Remote, ageText(c.LiveTime, c.Socket.LiveTimeExact),
			bytesText(c.RecvCount), bytesText(c.SendCount), pidText(c.Socket.PID), processText(c.Socket.ProcessName))
	}
	w.Flush()
	return text.Bytes()
}

// compareConnections orders outgoing before incoming, each by local port, then by remote address and port. The rest only
// makes the order one.
func compareConnections(a, b model.Connection) int {
	if a.Incoming != b.Incoming {
		if b.Incoming {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Socket.Local.Port(), b.Socket.Local.Port()),
		a.Remote.Compare(b.Remote),
		a.Socket.Local.Compare(b.Socket.Local),
		cmp.Compare(a.Socket.NetNS, b.Socket.NetNS),
		cmp.Compare(a.Socket.Cookie, b.Socket.Cookie),
	)
}

func directionWord(incoming bool) string {
	if incoming {
		return "in"
	}
	return "out"
}

// unknownCell stands where a value is not known.
const unknownCell = "-"

func pidText(pid int32) string {
	if pid == 0 {
		return unknownCell
	}
	return strconv.Itoa(int(pid))
}

// processText returns a process's name with everything in it that is not printable escaped as in a Go string. A process
// chooses its name itself, so it may be out to move the cursor of the terminal, or to look like more cells and lines.
func processText(name string) string {
	if name == "" {
		return unknownCell
	}
	quoted := strconv.Quote(name)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// ageText returns an age in seconds by its two largest units, rounded down, and with > before it where it is only a floor.
func ageText(seconds uint64, exact bool) string {
	floor := ">"
	if exact {
		floor = ""
	}
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case seconds < minute:
		return fmt.Sprintf("%s%ds", floor, seconds)
	case seconds < hour:
		return fmt.Sprintf("%s%dm%02ds", floor, seconds/minute, seconds%minute)
	case seconds < day:
		return fmt.Sprintf("%s%dh%02dm", floor, seconds/hour, seconds%hour/minute)
	default:
		return fmt.Sprintf("%s%dd%02dh", floor, seconds/day, seconds%day/hour)
	}
}

// bytesText returns n in the largest unit (K is 1024 bytes, M 1024 K and so on) that it has one of, rounded down, with
// one decimal; bytes without a unit.
func bytesText(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10)
	}
	const units = "KMGTPE"
	unit, rest := -1, uint64(0)
	for n >= 1024 {
		unit, rest, n = unit+1, n%1024, n/1024
	}
	return fmt.Sprintf("%d.%d%c", n, rest*10/1024, units[unit])
}
