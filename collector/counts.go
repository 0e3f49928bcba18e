//go:build linux

package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// counts are what the kernel counts of the TCP sockets of a network namespace.
type counts struct {
	at time.Duration // by Options.Clock
	// opened are the connections that were begun, and those that came in and were
	// made a socket of: ActiveOpens and PassiveOpens of /proc/net/snmp.
	opened int64
	// inUse are the sockets in the tables, those that listen among them, without those
	// of a connection that is coming in and those in TIME_WAIT: inuse of
	// /proc/net/sockstat and sockstat6.
	inUse int64
}

// leftSince returns how many sockets have left the table of connections since before,
// at the most: those that were closed, or went into TIME_WAIT, and those of
// connections that were coming in, each of which another has taken the place of.
// Those whose TIME_WAIT ended are not among them: a whole dump does not see them
// either.
func (c counts) leftSince(before counts) int64 {
	opened := c.opened - before.opened
	return opened + max(0, opened-(c.inUse-before.inUse))
}

// counting counts in one namespace, once it is asked to.
type counting struct {
	open   func() (*counters, error)
	of     *counters // nil: not opened
	failed bool      // and not tried again
}

// count returns the counts, and false where they cannot be had.
func (c *counting) count(at time.Duration) (now counts, ok bool) {
	var err error
	if c.of == nil && !c.failed {
		if c.of, err = c.open(); err != nil {
			c.failed = true
		}
	}
	if c.failed {
		return now, false
	}
	now, err = c.of.read(at)
	return now, err == nil
}

func (c *counting) close() {
	if c.of != nil {
		c.of.close()
	}
}

// counters read the counts of one namespace, from files that stay open.
type counters struct {
	snmp, sockstat, sockstat6 *os.File // the last nil where there is no IPv6
	buf                       [8 << 10]byte
}

// newCounters opens the files of the calling thread's namespace.
func newCounters() (_ *counters, err error) {
	c := new(counters)
	for name, at := range map[string]**os.File{"snmp": &c.snmp, "sockstat": &c.sockstat, "sockstat6": &c.sockstat6} {
		f, openErr := os.Open("/proc/thread-self/net/" + name)
		if openErr != nil && (name != "sockstat6" || !errors.Is(openErr, os.ErrNotExist)) {
			err = openErr
		}
		*at = f
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open what the kernel counts: %w", err)
	}
	return c, nil
}

func (c *counters) close() {
	for _, f := range []*os.File{c.snmp, c.sockstat, c.sockstat6} {
		if f != nil {
			f.Close()
		}
	}
}

// read reads the counts.
func (c *counters) read(at time.Duration) (counts, error) {
	now := counts{at: at}
	b, err := c.file(c.snmp)
	if err != nil {
		return now, err
	}
	opened, snmpOK := parseOpened(b)
	if b, err = c.file(c.sockstat); err != nil {
		return now, err
	}
	inUse, ok := parseInUse(b, "TCP:")
	now.opened, now.inUse = opened, inUse
	if c.sockstat6 != nil {
		if b, err = c.file(c.sockstat6); err != nil {
			return now, err
		}
		inUse6, ok6 := parseInUse(b, "TCP6:")
		now.inUse, ok = now.inUse+inUse6, ok && ok6
	}
	if !ok || !snmpOK {
		return now, errors.New("read what the kernel counts: it is not in the files")
	}
	return now, nil
}

// file returns the beginning of one.
func (c *counters) file(f *os.File) ([]byte, error) {
	n, err := f.ReadAt(c.buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read what the kernel counts: %w", err)
	}
	return c.buf[:n], nil
}

// parseOpened returns ActiveOpens and PassiveOpens together. Of each protocol
// /proc/net/snmp has a line with names and one with numbers.
func parseOpened(b []byte) (n int64, ok bool) {
	names, b := lineOf(b, "Tcp:")
	numbers, _ := lineOf(b, "Tcp:")
	active, activeOK := numberAt(numbers, indexOf(names, "ActiveOpens"))
	passive, passiveOK := numberAt(numbers, indexOf(names, "PassiveOpens"))
	return active + passive, activeOK && passiveOK
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
