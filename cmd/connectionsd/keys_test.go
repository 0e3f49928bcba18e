package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
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
