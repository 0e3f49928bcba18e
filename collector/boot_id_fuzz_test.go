//go:build linux

package collector

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A boot id is read where a UUID stands in the file, alone on its line, and is then that one.
func FuzzBootID(f *testing.F) {
	const id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for _, text := range []string{id + "\n", id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), id[:35], id + "0", id + id, "", "-", "\n", strings.Repeat("g", 36)} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "boot_id")
	uuid := regexp.MustCompile(`^\s*[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\s*$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := readBootID(path)
		if isUUID := uuid.Match(text); isUUID && err != nil || !isUUID && err == nil {
			t.Fatalf("%q: %x, error %v", text, id, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read the boot id: ") {
				t.Fatalf("error %v", err)
			}
			return
		}
		written := bytes.ReplaceAll(bytes.TrimSpace(bytes.ToLower(text)), []byte("-"), nil)
		if got := appendHex(nil, id); !bytes.Equal(got, written) {
			t.Fatalf("%q is read as %s", text, got)
		}
	})
}

func appendHex(dst []byte, id [16]byte) []byte {
	for _, b := range id {
		dst = append(dst, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
	}
	return dst
}
