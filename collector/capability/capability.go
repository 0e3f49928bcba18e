//go:build linux

// Package capability tells which capabilities this process has.
//
// It imports x/sys/unix.
package capability

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Effective is the set of a process's effective capabilities, bit n for
// capability n of include/uapi/linux/capability.h.
type Effective uint64

// Own returns those of the calling thread, which are those of the process as
// long as nobody changes them.
func Own() (Effective, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("ask for the capabilities of this process: %w", err)
	}
	return Effective(data[0].Effective) | Effective(data[1].Effective)<<32, nil
}

// Has reports whether the capability of that number is in the set.
func (e Effective) Has(number int) bool { return e&(1<<number) != 0 }
