//go:build linux && interop

package interop_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// standins are the names that the image has the program standin under.
var standins = []string{"redis-server", "postgres", "node", "client"}

// image makes a tar file of the root of a container once for all tests: the
// program standin in /bin, without anything else.
var image = sync.OnceValues(func() (string, error) {
	program := filepath.Join(binaries, "standin")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "github.com/connectionsd/connectionsd/test/interop/standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the stand-in: %w\n%s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	for i, name := range standins {
		header := &tar.Header{Name: "bin/" + name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(content))}
		if i > 0 {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, "bin/"+standins[0], 0
		}
		if err := w.WriteHeader(header); err != nil {
			return "", err
		}
		if i > 0 {
			continue
		}
		if _, err := w.Write(content); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	path := filepath.Join(binaries, "image.tar")
	return path, os.WriteFile(path, file.Bytes(), 0o644)
})

// imageFile is the path of the image.
func imageFile(t *testing.T) string {
	t.Helper()
	return must[string](t)(image())
}
