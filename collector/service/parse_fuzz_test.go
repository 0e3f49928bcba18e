package service

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A table that is accepted is what the comment at the head of services.tsv says of one, and is the same when it is written
// down and read again; one that is not is refused with the number of a line.
func FuzzParse(f *testing.F) {
	f.Add(builtIn)
	for _, text := range []string{
		"", "\n", "# a comment", "icon\tx", "icon\tX", "icon\tx\nicon\tx", "icon\tx\nport\t22\tSSH\tx\n", "port\t22\tSSH\tx", "icon\tx\nport\t22\tSSH\tx\nport\t022\tSSH\tx",
		"icon\tx\nport\t32768\tA\tx", "icon\tx\nport\t0\tA\tx", "icon\tx\nport\t1\t\tx", "icon\tx\nport\t1\tA\tx\ty", "icon\tx\nthing\t1\tA\tx",
		"icon\tx\nprocess\tnginx\tnginx\tx\nprocess\tnginx-of-fifteen-bytes\ta\tx\nprocess\tnginx-of-fifteen-others\ta\tx",
		"icon\tx\nprocess\ta/b\tA\tx", "icon\tx\nprocess\t\tA\tx", "icon\tx\ncommand\tjava kafka\tKafka\tx\ncommand\tjava zookeeper\tZooKeeper\tx",
		"icon\tx\ncommand\tjava\tA\tx", "icon\tx\ncommand\tjava a b\tA\tx", "icon\tx\ncommand\tjava a:\tA\tx", "icon\tx\ncommand\tjava a/b\tA\tx", "icon\tx\r\n", "icon\tx\nport\t+1\tA\tx",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parse(text)
		if err != nil {
			var line int
			if _, scanErr := fmt.Sscanf(err.Error(), "line %d: ", &line); scanErr != nil || line < 1 || line > 1+strings.Count(text, "\n") {
				t.Fatalf("error %q names no line of %q", err, text)
			}
			return
		}
		check := func(kind, key string, s Service) {
			if s.Label == "" || s.Icon == "" || strings.Trim(s.Icon, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || !strings.Contains(text, s.Label+"\t"+s.Icon) {
				t.Fatalf("%s %q: %+v", kind, key, s)
			}
		}
		lines := 0
		for port, s := range table.byPort {
			check("port", fmt.Sprint(port), s)
			if port == 0 || port >= firstEphemeral {
				t.Fatalf("port %d", port)
			}
			lines++
		}
		for process, s := range table.byProcess {
			check("process", process, s)
			if process == "" || len(process) > 15 || strings.Contains(process, "/") {
				t.Fatalf("process %q", process)
			}
			lines++
		}
		for program, words := range table.byCommand {
			for word, c := range words {
				check("command", program+" "+word, c.Service)
				if program == "" || len(program) > 15 || word == "" || strings.ContainsAny(word, " /") || c.line < 1 || c.line > 1+strings.Count(text, "\n") {
					t.Fatalf("command %q %q on line %d", program, word, c.line)
				}
				lines++
			}
		}
		if most := strings.Count(text, "\t") / 3; lines > most {
			t.Fatalf("%d services of %d lines at the most", lines, most)
		}
		again, err := parse(written(table))
		if err != nil {
			t.Fatalf("written again as %q: %v", written(table), err)
		}
		for what, diff := range map[string]string{
			"commands": cmp.Diff(commandsOf(table), commandsOf(again)), "processes": cmp.Diff(table.byProcess, again.byProcess), "ports": cmp.Diff(table.byPort, again.byPort),
		} {
			if diff != "" {
				t.Fatalf("%s, written again (-first +again):\n%s", what, diff)
			}
		}
	})
}

// commandsOf are the commands of a table as lines of a file, in their order.
func commandsOf(table *Table) (lines []string) {
	byLine := make(map[int]string)
	for program, words := range table.byCommand {
		for word, c := range words {
			byLine[c.line] = fmt.Sprintf("command\t%s %s\t%s\t%s", program, word, c.Label, c.Icon)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(byLine)) {
		lines = append(lines, byLine[line])
	}
	return lines
}

// written is a table as a file.
func written(table *Table) string {
	lines := commandsOf(table)
	for process, s := range table.byProcess {
		lines = append(lines, fmt.Sprintf("process\t%s\t%s\t%s", process, s.Label, s.Icon))
	}
	for port, s := range table.byPort {
		lines = append(lines, fmt.Sprintf("port\t%d\t%s\t%s", port, s.Label, s.Icon))
	}
	icons := make(map[string]bool)
	for _, line := range lines {
		icons[line[strings.LastIndexByte(line, '\t')+1:]] = true
	}
	text := ""
	for icon := range icons {
		text += "icon\t" + icon + "\n"
	}
	return text + strings.Join(lines, "\n")
}
