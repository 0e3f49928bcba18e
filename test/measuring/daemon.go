//go:build linux

package measuring

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Daemon returns the path of the daemon to measure: the one given, or if that is "" one that is built and that remove
// removes.
func Daemon(ctx context.Context, given string) (path string, remove func(), err error) {
	if given != "" {
		path, err = filepath.Abs(given)
		return path, func() {}, err
	}
	dir, err := os.MkdirTemp("", "connectionsd-measured-")
	if err != nil {
		return "", nil, fmt.Errorf("make a place for the daemon: %w", err)
	}
	remove = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "connectionsd")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/connectionsd/connectionsd/cmd/connectionsd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("build the daemon: %w: %s", err, out)
	}
	return path, remove, nil
}
