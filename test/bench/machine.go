//go:build linux

package main

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

// describeMachine says what all is measured on.
func describeMachine(ctx context.Context, monerod string) *table {
	var kernel unix.Utsname
	_ = unix.Uname(&kernel) // cannot fail
	// It is negative where a namespace uses those of all.
	buckets := strings.TrimPrefix(valueOf("/proc/sys/net/ipv4/tcp_ehash_entries", ""), "-")
	load, _, _ := strings.Cut(valueOf("/proc/loadavg", ""), " ")
	return &table{
		title:  "Machine",
		header: []string{"what", "value"},
		rows: [][]string{
			{"CPU", fmt.Sprintf("%d x %s", runtime.NumCPU(), valueOf("/proc/cpuinfo", "model name"))},
			{"memory", valueOf("/proc/meminfo", "MemTotal")},
			{"kernel", unix.ByteSliceToString(kernel.Release[:])},
			{"hash buckets of TCP connections", buckets},
			{"load before", load},
			{"Go", runtime.Version()},
			{"ss", versionOf(ctx, "ss", "-V")},
			{"monerod", versionOf(ctx, monerod, "--version")},
		},
	}
}

// valueOf returns what stands behind name and a colon in a file of /proc, the
// first line of it for the name "", and "unknown" where that is not there.
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

// versionOf returns what a program says of its version.
func versionOf(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "not installed"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
