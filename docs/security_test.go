package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY.md says of each kind of attacker names a test.
func TestClaimsAreTested(t *testing.T) {
	_, attackers, _ := strings.Cut(read(t, "../SECURITY.md"), "\n## Attackers\n")
	attackers, _, found := strings.Cut(attackers, "\n## What is not defended against\n")
	if !found {
		t.Fatal("SECURITY.md has no attackers, or nothing that is not defended against")
	}
	claims := 0
	var claim string
	for line := range strings.Lines(attackers + "\n") {
		if strings.HasPrefix(line, "  ") {
			claim += line
			continue
		}
		if strings.HasPrefix(claim, "- ") {
			claims++
			if !strings.Contains(claim, "`Test") && !strings.Contains(claim, "`Fuzz") && !strings.Contains(claim, "`.ci/") {
				t.Errorf("SECURITY.md names no test of:\n%s", claim)
			}
		}
		claim = line
	}
	if claims < 40 {
		t.Errorf("%d claims were found, want all", claims)
	}
}

// The tests that documents name are there.
func TestTestsAreThere(t *testing.T) {
	there := make(map[string]bool)
	definition := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range definition.FindAllSubmatch(code, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	for path, least := range map[string]int{"../SECURITY.md": 80, "reliability.md": 25} {
		named := name.FindAllString(read(t, path), -1)
		if len(named) < least {
			t.Errorf("%s names %d tests, want %d at least", path, len(named), least)
		}
		for _, test := range named {
			if !there[test] {
				t.Errorf("%s names %s, which is no test", path, test)
			}
		}
	}
}
