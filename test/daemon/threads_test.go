//go:build linux

package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// threads returns what the threads of a process have in the fields of /proc/PID/status that tell of privilege: one value
// where it is the same in all of them, and else each with a bar between them.
func threads(t *testing.T, pid int) map[string]string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v, want some", len(tasks), err)
	}
	return privilegesIn(t, tasks)
}

// ownThread returns what this thread has, and so what it starts. Others of this process can have less: the tests of faults take
// it from them.
func ownThread(t *testing.T) map[string]string {
	t.Helper()
	return privilegesIn(t, []string{"/proc/thread-self/status"})
}

func privilegesIn(t *testing.T, tasks []string) map[string]string {
	t.Helper()
	fields := []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"}
	values := make(map[string][]string)
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			value = strings.Join(strings.Fields(value), " ")
			if slices.Contains(fields, name) && !slices.Contains(values[name], value) {
				values[name] = append(values[name], value)
			}
		}
	}
	all := make(map[string]string)
	for name, each := range values {
		all[name] = strings.Join(each, " | ")
	}
	return all
}

// isRootOfTheHost reports whether this is root, and not only that of a user namespace.
func isRootOfTheHost(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	return os.Getuid() == 0 && strings.Fields(string(b))[2] == "4294967295"
}

// needsRootOfTheHost skips a test that takes it.
func needsRootOfTheHost(t *testing.T, what string) {
	t.Helper()
	if !isRootOfTheHost(t) {
		t.Skipf("%s takes root of the host", what)
	}
}
