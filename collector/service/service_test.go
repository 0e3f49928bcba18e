package service

import "testing"

func TestBuiltIn(t *testing.T) {
	table := BuiltIn() // panics unless every line is right
	for _, test := range []struct {
		process string
		port    uint16
		want    Service
	}{
		{"redis-server", 6379, Service{"Redis", "redis"}},
		{"redis-server", 1, Service{"Redis", "redis"}},
		{"connectionsd", 18081, Service{"connectionsd", "connectionsd"}},
		{"monerod", 18081, Service{"Monero", "monero"}},
		{"python3", 6379, Service{"python3", "generic"}},
		{"", 6379, Service{"Redis", "redis"}},
		{"", 50000, Service{"", "generic"}},
	} {
		if got := table.Listening(test.process, test.port); got != test.want {
			t.Errorf("%q on %d: %v, want %v", test.process, test.port, got, test.want)
		}
	}
	if s, ok := table.Port(5432); !ok || s.Label != "PostgreSQL" {
		t.Errorf("port 5432: %v, %v", s, ok)
	}
	if s, ok := table.Port(50000); ok {
		t.Errorf("port 50000: %v", s)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"process\tx\tX":                      "line 1: 3 columns, want 4 with one tab between each",
		"# y\n\nhost\tx\tX\tx":               `line 3: "host": want process or port`,
		"port\t0\tX\tx":                      `line 1: port "0": want 1 to 65535, once`,
		"port\t65536\tX\tx":                  `line 1: port "65536": want 1 to 65535, once`,
		"port\tx\tX\tx":                      `line 1: port "x": want 1 to 65535, once`,
		"process\t\tX\tx":                    `line 1: process "": want 1 to 15 bytes, once`,
		"process\ta\tA\ta\nprocess\ta\tA\ta": `line 2: process "a": want 1 to 15 bytes, once`,
		"process\tsixteen-bytes-xx\tX\tx":    `line 1: process "sixteen-bytes-xx": want 1 to 15 bytes, once`,
		"process\tx\t\tx":                    `line 1: label "", icon "x": want a label and one word in lower case`,
		"process\tx\tX\tBig":                 `line 1: label "X", icon "Big": want a label and one word in lower case`,
		"process\tx\tX\ttwo word":            `line 1: label "X", icon "two word": want a label and one word in lower case`,
	} {
		if _, err := parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}
