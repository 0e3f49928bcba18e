//go:build linux

package collector

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A boot id is read where the file has the 32 digits of a UUID, with dashes between them or without, and nothing else; and
// is then that one.
func FuzzBootID(f *testing.F) {
	const id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for _, text := range []string{id + "\n", id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), id[:35], id + "0", id + id, "", "-", "\n", strings.Repeat("g", 36)} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "boot_id")
	uuid := regexp.MustCompile(`^-*([0-9a-fA-F]-*){32}$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := readBootID(path)
		if isUUID := uuid.Match(bytes.TrimSpace(text)); isUUID && err != nil || !isUUID && err == nil {
			t.Fatalf("%q: %x, error %v", text, id, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read the boot id: ") {
				t.Fatalf("error %v", err)
			}
			return
		}
		written := bytes.ReplaceAll(bytes.TrimSpace(bytes.ToLower(text)), []byte("-"), nil)
		if got := fmt.Sprintf("%x", id); got != string(written) {
			t.Fatalf("%q is read as %s", text, got)
		}
	})
}
