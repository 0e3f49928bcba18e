//go:build linux

package container

import (
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// CheckPrivilege returns a *capability.MissingError if this process may not
// open a cgroup by its id (may_decode_fh in fs/fhandle.c), and nil if it may.
func CheckPrivilege() error {
	return capability.Check("containers are told by their processes alone",
		capability.Need{Name: "CAP_DAC_READ_SEARCH", AnyOf: []int{unix.CAP_DAC_READ_SEARCH}},
	)
}
