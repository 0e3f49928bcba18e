// Package service knows what a person calls the programs and ports of a host,
// and which icon a dashboard shows for them.
//
// The names stand in services.tsv, to which anybody can add a line; those of
// further ports come from the system (services(5)). It imports nothing of the
// project.
package service

import (
	"path"
	"strings"
)

// Generic is the icon of what is not known.
const Generic = "generic"

// Service is what is shown of a service.
type Service struct {
	Label string // what a person calls it, such as PostgreSQL
	Icon  string // one word in lower case, of those that services.tsv lists
}

// Table tells services by their program, its arguments and their port. It does
// not change, and any number of callers may use it at once.
type Table struct {
	byCommand  map[string]map[string]command // by program and word
	byProcess  map[string]Service            // by program
	byPort     map[uint16]Service
	registered map[uint16]string
}

// command is a service that a program is with one word among its arguments.
type command struct {
	line int // the lower one counts
	Service
}

// mostArguments is how many arguments are looked at. The word that tells what a
// virtual machine runs stands behind the options of the machine: of RabbitMQ's
// behind forty.
const mostArguments = 64

// Process returns what a process is, by its name (comm) and its arguments, of
// which there may be none. A line of kind command counts before one of kind
// process, and the name before that of the file in the first argument: a program
// may call its first thread what it likes, as Node.js does (MainThread). A
// process that no line names is called by its name.
func (t *Table) Process(name string, args []string) Service {
	names := programNames(name, args)
	for _, name := range names {
		if s, ok := t.command(name, args); ok {
			return s
		}
	}
	for _, name := range names {
		if s, ok := t.byProcess[name]; ok {
			return s
		}
	}
	return Service{Label: name, Icon: Generic}
}

// Port returns what listens on a TCP port as a rule; ok is false where nothing
// tells. A line counts before the name that the system has registered.
func (t *Table) Port(port uint16) (s Service, ok bool) {
	if s, ok := t.byPort[port]; ok {
		return s, true
	}
	name, ok := t.registered[port]
	if !ok {
		return Service{}, false
	}
	return Service{Label: name, Icon: Generic}, true
}

// command returns the service of the first line whose program is called name and
// whose word is among args.
func (t *Table) command(name string, args []string) (Service, bool) {
	words := t.byCommand[name]
	if len(words) == 0 {
		return Service{}, false
	}
	var first command
	see := func(word string) {
		if c, ok := words[word]; ok && (first.Label == "" || c.line < first.line) {
			first = c
		}
	}
	if len(args) == 1 { // a title, perhaps
		args = strings.Fields(args[0])
	}
	for _, arg := range args[:min(len(args), mostArguments)] {
		for element := range strings.SplitSeq(arg, "/") {
			see(strings.TrimSuffix(element, ":"))
		}
	}
	return first.Service, first.Label != ""
}

// programNames returns what a program may be called in the table, the likeliest
// first.
func programNames(name string, args []string) []string {
	names := make([]string, 0, 6)
	add := func(name string) {
		names = append(names, commOf(name))
		// A title: nginx: worker process, next-server (v15.1.0).
		word, _, _ := strings.Cut(name, " ")
		word = strings.TrimSuffix(word, ":")
		names = append(names, commOf(word), commOf(withoutVersion(word)))
	}
	add(name)
	if len(args) > 0 {
		file := args[0]
		if len(args) == 1 || !strings.HasPrefix(file, "/") {
			file, _, _ = strings.Cut(file, " ")
		}
		add(strings.TrimPrefix(path.Base(file), "-")) // -bash, of a login
	}
	return names
}

// withoutVersion returns the name of a program less the version at its end:
// python3.13, php-fpm8.4, clang-19.
func withoutVersion(name string) string {
	bare := strings.TrimRight(name, "0123456789.")
	if bare == "" {
		return name
	}
	return strings.TrimSuffix(bare, "-")
}

// commOf returns as much of a program's name as the kernel keeps
// (TASK_COMM_LEN, proc_pid_comm(5)).
func commOf(name string) string {
	return name[:min(len(name), 15)]
}
