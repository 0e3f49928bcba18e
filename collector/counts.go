//go:build linux

package collector

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// counts are what the kernel counts of the TCP sockets of a network namespace.
type counts struct {
	at time.Duration // by Options.Clock
	// opened are the connections that were begun, and those that came in and were
	// made a socket of: ActiveOpens and PassiveOpens of /proc/net/snmp. failed are those
	// that came to nothing, one that was coming in and was reset among them:
	// AttemptFails.
	opened, failed int64
	// inUse are the sockets in the tables, those that listen among them, without those
	// of a connection that is coming in and those in TIME_WAIT: inuse of
	// /proc/net/sockstat and sockstat6.
	inUse int64
}

// leftSince returns how many sockets have left the table of connections since before:
// those that were closed, or went into TIME_WAIT, and those of connections that were
// coming in, each of which another has taken the place of, or which were reset. It is
// rather too many. What no count has are those that end without a word: connections
// that were coming in and whose opener fell silent, and those in TIME_WAIT, which a
// whole dump does not see either.
func (c counts) leftSince(before counts) int64 {
	opened := c.opened - before.opened
	return opened + c.failed - before.failed + max(0, opened-(c.inUse-before.inUse))
}

// counting counts in one namespace, once it is asked to. Where the kernel does not
// tell, or /proc is hidden, dumps are made whole.
type counting struct {
	open  func() *counters
	of    *counters // nil: not opened, or in vain
	tried bool
	at    time.Duration // when it was tried last
}

// openAgain is when files that could not be opened are tried again: descriptors may
// have been short.
const openAgain = time.Minute

// count returns the counts, and false where they cannot be had.
func (c *counting) count(at time.Duration) (now counts, ok bool) {
	if c.of == nil && (!c.tried || at-c.at >= openAgain) {
		c.tried, c.at, c.of = true, at, c.open()
	}
	if c.of == nil {
		return counts{}, false
	}
	return c.of.read(at)
}

func (c *counting) close() {
	if c.of != nil {
		c.of.close()
	}
}

// counters read the counts of one namespace, from files that stay open: procfs, which
// reads them by their paths, would have to enter the namespace for each look.
type counters struct {
	snmp, sockstat, sockstat6 *os.File // the last nil where there is no IPv6
	buf                       [8 << 10]byte
}

// newCounters opens the files of the calling thread's namespace, and returns nil if
// they cannot be opened.
func newCounters() *counters {
	c := new(counters)
	var missing error
	for name, at := range map[string]**os.File{"snmp": &c.snmp, "sockstat": &c.sockstat, "sockstat6": &c.sockstat6} {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if err == nil {
			*at = f
		} else if name != "sockstat6" || !errors.Is(err, os.ErrNotExist) {
			missing = err
		}
	}
	if missing != nil {
		c.close()
		return nil
	}
	return c
}

func (c *counters) close() {
	for _, f := range []*os.File{c.snmp, c.sockstat, c.sockstat6} {
		if f != nil {
			f.Close()
		}
	}
}

// read reads the counts, and returns false if they are not in the files.
func (c *counters) read(at time.Duration) (now counts, ok bool) {
	now.at = at
	opened, failed, ok := parseOpened(c.file(c.snmp))
	inUse, inUseOK := parseInUse(c.file(c.sockstat), "TCP:")
	inUse6, inUse6OK := int64(0), true
	if c.sockstat6 != nil {
		inUse6, inUse6OK = parseInUse(c.file(c.sockstat6), "TCP6:")
	}
	now.opened, now.failed, now.inUse = opened, failed, inUse+inUse6
	if !ok || !inUseOK || !inUse6OK {
		return counts{}, false
	}
	return now, true
}

// file returns the beginning of one, and nothing if it cannot be read.
func (c *counters) file(f *os.File) []byte {
	n, err := f.ReadAt(c.buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return c.buf[:n]
}

// parseOpened returns ActiveOpens and PassiveOpens together, and AttemptFails. Of each
// protocol /proc/net/snmp has a line with names and one with numbers.
func parseOpened(b []byte) (opened, failed int64, ok bool) {
	names, b := lineOf(b, "Tcp:")
	numbers, _ := lineOf(b, "Tcp:")
	active, activeOK := numberAt(numbers, indexOf(names, "ActiveOpens"))
	passive, passiveOK := numberAt(numbers, indexOf(names, "PassiveOpens"))
	failed, failedOK := numberAt(numbers, indexOf(names, "AttemptFails"))
	return active + passive, failed, activeOK && passiveOK && failedOK
}

// parseInUse returns inuse of a protocol.
func parseInUse(b []byte, protocol string) (int64, bool) {
	line, _ := lineOf(b, protocol)
	index := indexOf(line, "inuse")
	if index < 0 {
		return 0, false
	}
	return numberAt(line, index+1)
}

// lineOf returns the first line that begins with a word, and what follows it; nil if
// there is none that ends.
func lineOf(b []byte, word string) (line, rest []byte) {
	for len(b) > 0 {
		line, rest, ends := bytes.Cut(b, []byte{'\n'})
		if first, _, _ := bytes.Cut(line, []byte{' '}); ends && string(first) == word {
			return line, rest
		}
		b = rest
	}
	return nil, nil
}

// indexOf returns which of the words of a line a word is, -1 if it is none.
func indexOf(line []byte, word string) (n int) {
	for w := range bytes.FieldsSeq(line) {
		if string(w) == word {
			return n
		}
		n++
	}
	return -1
}

// numberAt returns the word of that index, a number that is not negative and so small
// that two of them can be added.
func numberAt(line []byte, index int) (number int64, ok bool) {
	n := 0
	for w := range bytes.FieldsSeq(line) {
		if n == index {
			number, err := strconv.ParseInt(string(w), 10, 62)
			return number, err == nil && number >= 0
		}
		n++
	}
	return 0, false
}
