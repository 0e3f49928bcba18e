//go:build linux

package owner

import (
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// CheckPrivilege returns a *capability.MissingError if this process may not
// look into every other process's descriptors (proc_pid_readlink and
// proc_fd_permission in fs/proc), and nil if it may.
func CheckPrivilege() error {
	return capability.Check("the owners of other users' sockets stay unknown",
		capability.Need{Name: "CAP_SYS_PTRACE", AnyOf: []int{unix.CAP_SYS_PTRACE}},
		capability.Need{Name: "CAP_DAC_READ_SEARCH", AnyOf: []int{unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE}},
	)
}
