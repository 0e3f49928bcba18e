package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

const (
	// mostRegistered is how much is read of a file of registered services, in
	// bytes. The largest that a distribution has is 700 kB.
	mostRegistered = 4 << 20
	// longestName is that of a registered service's name, in bytes; RFC 6335
	// allows 15.
	longestName = 64
	// firstEphemeral is the first port that Linux takes for the near end of an
	// outgoing connection (ip_local_port_range, ip(7)). From there on a name would
	// be given to clients at random, after a service that hardly anybody runs.
	firstEphemeral = 32768
)

// WithRegistered returns the built-in table with the names of TCP services in
// file, which is made as services(5) says: /etc/services. There may be no such
// file. If it cannot be read the error says so, and the table is the built-in
// one.
func WithRegistered(file string) (*Table, error) {
	t := BuiltIn()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read the registered services: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostRegistered))
	if err != nil {
		return t, fmt.Errorf("read the registered services: %w", err)
	}
	t.registered = parseRegistered(string(text))
	return t, nil
}

// parseRegistered reads lines of services(5): name, port/protocol, aliases. The
// first name of a TCP port counts. As the C library does, it passes over lines
// that it cannot read.
func parseRegistered(text string) map[uint16]string {
	names := make(map[uint16]string)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		columns := strings.Fields(line)
		if len(columns) < 2 || len(columns[0]) > longestName {
			continue
		}
		digits, ok := strings.CutSuffix(columns[1], "/tcp")
		port, err := strconv.ParseUint(digits, 10, 16)
		if !ok || err != nil || port == 0 || port >= firstEphemeral {
			continue
		}
		if _, twice := names[uint16(port)]; !twice {
			names[uint16(port)] = strings.Clone(columns[0]) // not the whole file with it
		}
	}
	return names
}
