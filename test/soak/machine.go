//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// describeMachine says what all is measured on.
func describeMachine() *table {
	var kernel unix.Utsname
	_ = unix.Uname(&kernel) // cannot fail
	load, _, _ := strings.Cut(valueOf("/proc/loadavg", ""), " ")
	return &table{
		title:  "machine",
		header: []string{"what", "value"},
		rows: [][]string{
			{"CPU", fmt.Sprintf("%d x %s", runtime.NumCPU(), valueOf("/proc/cpuinfo", "model name"))},
			{"memory", valueOf("/proc/meminfo", "MemTotal")},
			{"kernel", unix.ByteSliceToString(kernel.Release[:])},
			{"load before", load},
			{"Go", runtime.Version()},
		},
	}
}

// valueOf returns what stands behind name and a colon in a file of /proc, the first line of it for the name "", and
// "unknown" where that is not there.
func valueOf(path, name string) string {
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
