//go:build linux

package measuring

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine says what all is measured on.
func Machine() *Table {
	var kernel unix.Utsname
	_ = unix.Uname(&kernel) // cannot fail
	// It is negative where a namespace uses those of all.
	buckets := strings.TrimPrefix(ValueOf("/proc/sys/net/ipv4/tcp_ehash_entries", ""), "-")
	load, _, _ := strings.Cut(ValueOf("/proc/loadavg", ""), " ")
	return &Table{
		Title:  "Machine",
		Header: []string{"what", "value"},
		Rows: [][]string{
			{"CPU", fmt.Sprintf("%d x %s", runtime.NumCPU(), ValueOf("/proc/cpuinfo", "model name"))},
			{"memory", ValueOf("/proc/meminfo", "MemTotal")},
			{"kernel", unix.ByteSliceToString(kernel.Release[:])},
			{"hash buckets of TCP connections", buckets},
			{"load before", load},
			{"Go", runtime.Version()},
		},
	}
}

// ValueOf returns what stands behind name and a colon in a file of /proc, the first line of it for the name "", and
// "unknown" where that is not there.
func ValueOf(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name == "" {
			return strings.TrimSpace(lines.Text())
		}
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// VersionOf returns the first line of what a program prints with these arguments, "not installed" where that fails.
func VersionOf(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "not installed"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
