package service

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed services.tsv
var builtIn string

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
	t := &Table{byCommand: make(map[string]map[string]command), byProcess: make(map[string]Service), byPort: make(map[uint16]Service)}
	icons := make(map[string]bool)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		var err error
		if columns[0] == "icon" {
			err = addIcon(icons, columns)
		} else {
			err = t.add(number, columns, icons)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return t, nil
}

// addIcon adds a word of the vocabulary.
func addIcon(icons map[string]bool, columns []string) error {
	if len(columns) != 2 {
		return fmt.Errorf("%d columns, want 2 with one tab between them", len(columns))
	}
	icon := columns[1]
	letters := strings.Trim(icon, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	if icon == "" || !letters || icons[icon] {
		return fmt.Errorf("icon %q: want one word of lower-case letters and digits, once", icon)
	}
	icons[icon] = true
	return nil
}

func (t *Table) add(line int, columns []string, icons map[string]bool) error {
	if len(columns) != 4 {
		return fmt.Errorf("%d columns, want 4 with one tab between each", len(columns))
	}
	kind, key, s := columns[0], columns[1], Service{Label: columns[2], Icon: columns[3]}
	if s.Label == "" {
		return fmt.Errorf("%s %q: want a label", kind, key)
	}
	if !icons[s.Icon] {
		return fmt.Errorf("icon %q: want one that a line of kind icon names further up", s.Icon)
	}
	switch kind {
	case "command":
		program, word, ok := strings.Cut(key, " ")
		if !ok || program == "" || word == "" || strings.ContainsAny(word, " /") || strings.HasSuffix(word, ":") {
			return fmt.Errorf("command %q: want a program, a blank, and a word without a slash, or a colon at its end", key)
		}
		words := t.byCommand[commOf(program)]
		if words == nil {
			words = make(map[string]command)
			t.byCommand[commOf(program)] = words
		}
		if _, twice := words[word]; twice {
			return fmt.Errorf("command %q: want it once", key)
		}
		words[word] = command{line: line, Service: s}
	case "process":
		if _, twice := t.byProcess[commOf(key)]; twice || key == "" || strings.Contains(key, "/") {
			return fmt.Errorf("process %q: want the name of a program whose first 15 bytes no other line has", key)
		}
		t.byProcess[commOf(key)] = s
	case "port":
		port, err := strconv.ParseUint(key, 10, 16)
		if _, twice := t.byPort[uint16(port)]; twice || err != nil || port == 0 || port >= firstEphemeral {
			return fmt.Errorf("port %q: want 1 to %d, once", key, firstEphemeral-1)
		}
		t.byPort[uint16(port)] = s
	default:
		return fmt.Errorf("%q: want icon, command, process or port", kind)
	}
	return nil
}
