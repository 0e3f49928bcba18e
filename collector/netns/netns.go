//go:build linux

// Package netns finds, names and enters the network namespaces of this host.
//
// It imports x/sys/unix and capability.
package netns

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Self returns the inode number of the network namespace that the calling
// thread is in, which names it as long as it exists.
func Self() (uint32, error) {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &stat); err != nil {
		return 0, fmt.Errorf("read the network namespace of this process: %w", err)
	}
	return uint32(stat.Ino), nil // proc inode numbers are 32 bits wide (struct ns_common, include/linux/ns_common.h)
}
