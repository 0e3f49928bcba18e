//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// tally counts by name.
type tally map[string]int

func (t tally) String() string {
	if len(t) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, fmt.Sprintf("%d x %s", t[name], name))
	}
	return strings.Join(parts, ", ")
}

// sum is of all names.
func (t tally) sum() (n int) {
	for _, count := range t {
		n += count
	}
	return n
}

// sleep waits, but no longer than for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
