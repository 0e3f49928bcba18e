//go:build linux

package privilege

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// fields are those of /proc/PID/status that tell of privilege.
var fields = []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"}

// threads starts some, calls f, starts some more, and returns what all of them together have in each of fields: one value
// if it is the same everywhere.
func threads(f func() error) (map[string][]string, error) {
	var holds []func()
	more := func() {
		for range 4 {
			holds = append(holds, holdThread())
		}
	}
	more()
	if err := f(); err != nil {
		return nil, err
	}
	more()
	defer func() {
		for _, release := range holds {
			release()
		}
	}()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return nil, err
	}
	if len(tasks) < 9 {
		return nil, fmt.Errorf("%d threads, want the first and eight more", len(tasks))
	}
	all := make(map[string][]string)
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			value = strings.Join(strings.Fields(value), " ")
			for _, field := range fields {
				if name == field && !contains(all[name], value) {
					all[name] = append(all[name], value)
				}
			}
		}
	}
	return all, nil
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// holdThread keeps a thread to itself until release is called.
func holdThread() (release func()) {
	started, done, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		close(started)
		<-done
		runtime.UnlockOSThread()
	}()
	<-started
	return func() { close(done); <-ended }
}
