package service

import (
	"strings"
	"testing"
)

// Every word of the vocabulary is some service's icon, the dashboard's own come
// first, and ports stand in order.
func TestBuiltInIsWhole(t *testing.T) {
	used := make(map[string]bool)
	var icons []string
	last := uint64(0)
	for line := range strings.Lines(builtIn) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch columns[0] {
		case "icon":
			icons = append(icons, columns[1])
		case "port":
			port := uint64(0)
			for _, digit := range columns[1] {
				port = port*10 + uint64(digit-'0')
			}
			if port <= last {
				t.Errorf("port %d stands behind port %d", port, last)
			}
			last = port
		}
		if len(columns) == 4 {
			used[columns[3]] = true
		}
	}
	for _, icon := range icons {
		if !used[icon] {
			t.Errorf("icon %q: no service has it", icon)
		}
	}
	for i, icon := range []string{"node", "next", "redis", "mongo", "postgres", "mysql", "apache", "ssh", Generic} {
		if icons[i] != icon {
			t.Errorf("icon %q at place %d, want %q, a word of the dashboard's own", icons[i], i, icon)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const icon = "icon\tx\n"
	for text, want := range map[string]string{
		icon + "process\tx\tX":                           "line 2: 3 columns, want 4 with one tab between each",
		icon + "process\tx\tX\tx\t":                      "line 2: 5 columns, want 4 with one tab between each",
		icon + "# y\n\nhost\tx\tX\tx":                    `line 4: "host": want icon, command, process or port`,
		icon + "port\t0\tX\tx":                           `line 2: port "0": want 1 to 32767, once`,
		icon + "port\t32768\tX\tx":                       `line 2: port "32768": want 1 to 32767, once`,
		icon + "port\t65536\tX\tx":                       `line 2: port "65536": want 1 to 32767, once`,
		icon + "port\tx\tX\tx":                           `line 2: port "x": want 1 to 32767, once`,
		icon + "port\t1\tX\tx\nport\t1\tX\tx":            `line 3: port "1": want 1 to 32767, once`,
		icon + "process\t\tX\tx":                         `line 2: process "": want the name of a program whose first 15 bytes no other line has`,
		icon + "process\t/bin/a\tX\tx":                   `line 2: process "/bin/a": want the name of a program whose first 15 bytes no other line has`,
		icon + "process\tx\t\tx":                         `line 2: process "x": want a label`,
		icon + "process\tx\tX\ty":                        `line 2: icon "y": want one that a line of kind icon names further up`,
		"process\tx\tX\tx\n" + icon:                      `line 1: icon "x": want one that a line of kind icon names further up`,
		icon + "command\tx\tX\tx":                        `line 2: command "x": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "command\tx \tX\tx":                       `line 2: command "x ": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "command\t x\tX\tx":                       `line 2: command " x": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "command\tx y z\tX\tx":                    `line 2: command "x y z": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "command\tx y/z\tX\tx":                    `line 2: command "x y/z": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "command\tx y:\tX\tx":                     `line 2: command "x y:": want a program, a blank, and a word without a slash, or a colon at its end`,
		icon + "icon\tx":                                 `line 2: icon "x": want one word of lower-case letters and digits, once`,
		"icon\tBig":                                      `line 1: icon "Big": want one word of lower-case letters and digits, once`,
		"icon\ttwo words":                                `line 1: icon "two words": want one word of lower-case letters and digits, once`,
		"icon\t":                                         `line 1: icon "": want one word of lower-case letters and digits, once`,
		"icon\tx\tX":                                     "line 1: 3 columns, want 2 with one tab between them",
		icon + strings.Repeat("command\tx y\tX\tx\n", 2): `line 3: command "x y": want it once`,
		icon + "process\tfifteen-bytes-xx\tX\tx\nprocess\tfifteen-bytes-xy\tX\tx": `line 3: process "fifteen-bytes-xy": want the name of a program whose first 15 bytes no other line has`,
	} {
		if _, err := parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}
