package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every key's default passes its own check, and no two keys share a name.
func TestKeys(t *testing.T) {
	names := map[string]bool{}
	for _, k := range keys() {
		if names[k.name] {
			t.Errorf("%s stands there twice", k.name)
		}
		names[k.name] = true
		if k.byDefault == "" {
			continue
		}
		if err := k.set(&Config{}, []setting{{Value: k.byDefault, Origin: k.name}}); err != nil {
			t.Error(err)
		}
	}
}

// The user's documentation has a row for each key, with its flag, variable and default as they are.
func TestKeysAreDocumented(t *testing.T) {
	const page = "../../docs/configuration.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys() {
		flag, byDefault := "--"+k.name+" "+k.placeholder, "`"+k.byDefault+"`"
		if k.kind == toggle {
			flag = "--" + k.name
		}
		if k.byDefault == "" {
			byDefault = "none"
		}
		row := fmt.Sprintf("\n| `%s` | `%s` | %s | ", flag, k.variable(), byDefault)
		if n := strings.Count(string(text), row); n != 1 {
			t.Errorf("%s has %d rows that start %q, want 1", page, n, row)
		}
	}
}

// The table of what SIGHUP changes has each key where it belongs. The file is named by flags and variables, which stay.
func TestWhatSIGHUPChangesIsDocumented(t *testing.T) {
	const page = "../../docs/configuration.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n| Changes at once | Takes a restart |\n")
	if !ok {
		t.Fatalf("%s has no such table", page)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := make(map[string]change)
	for line := range strings.Lines(table) {
		columns := strings.Split(line, " | ")
		for i, when := range []change{onHangup, atStart} {
			for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(columns[min(i, len(columns)-1)], -1) {
				documented[name[1]] = when
			}
		}
	}
	want := make(map[string]change)
	for _, k := range keys() {
		if k.name != configFileKey {
			want[k.name] = k.change
		}
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("1: at SIGHUP, 0: at the start (-as it is +documented):\n%s", diff)
	}
}
