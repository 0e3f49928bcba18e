// Package service knows what a person calls the programs and ports of a host,
// and which icon a dashboard shows for them.
//
// The names stand in services.tsv, to which anybody can add a line. It imports
// nothing of the project.
package service

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed services.tsv
var builtIn string

// Generic is the icon of what is not known.
const Generic = "generic"

// Service is what is shown of a service.
type Service struct {
	Label string // what a person calls it, such as PostgreSQL
	Icon  string // one word in lower case
}

// Table tells services by the name of their program and by their port.
type Table struct {
	byProcess map[string]Service
	byPort    map[uint16]Service
}

// BuiltIn returns the table of services.tsv. It panics if that cannot be read,
// which a test rules out.
func BuiltIn() *Table {
	t, err := parse(builtIn)
	if err != nil {
		panic("service: services.tsv: " + err.Error())
	}
	return t
}

func parse(text string) (*Table, error) {
	t := &Table{byProcess: make(map[string]Service), byPort: make(map[uint16]Service)}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := t.add(strings.Split(line, "\t")); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return t, nil
}

func (t *Table) add(columns []string) error {
	if len(columns) != 4 {
		return fmt.Errorf("%d columns, want 4 with one tab between each", len(columns))
	}
	kind, key, s := columns[0], columns[1], Service{Label: columns[2], Icon: columns[3]}
	if s.Label == "" || s.Icon == "" || strings.ContainsAny(s.Icon, " \"\\") || s.Icon != strings.ToLower(s.Icon) {
		return fmt.Errorf("label %q, icon %q: want a label and one word in lower case", s.Label, s.Icon)
	}
	switch kind {
	case "process":
		if _, twice := t.byProcess[key]; twice || key == "" || len(key) > 15 {
			return fmt.Errorf("process %q: want 1 to 15 bytes, once", key)
		}
		t.byProcess[key] = s
	case "port":
		port, err := strconv.ParseUint(key, 10, 16)
		if _, twice := t.byPort[uint16(port)]; twice || err != nil || port == 0 {
			return fmt.Errorf("port %q: want 1 to 65535, once", key)
		}
		t.byPort[uint16(port)] = s
	default:
		return fmt.Errorf("%q: want process or port", kind)
	}
	return nil
}

// Listening returns what listens: by the name of its process, and by its port
// only where the process is not known (""). A process that no line names is
// called by its name.
func (t *Table) Listening(process string, port uint16) Service {
	if process == "" {
		if s, ok := t.byPort[port]; ok {
			return s
		}
		return Service{Icon: Generic}
	}
	if s, ok := t.byProcess[process]; ok {
		return s
	}
	return Service{Label: process, Icon: Generic}
}

// Port returns what listens on a port as a rule; ok is false where no line
// tells.
func (t *Table) Port(port uint16) (s Service, ok bool) {
	s, ok = t.byPort[port]
	return s, ok
}
