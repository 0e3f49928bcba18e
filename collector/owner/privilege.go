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
	own, err := capability.Own()
	if err != nil {
		return err
	}
	var missing []string
	if !own.Has(unix.CAP_SYS_PTRACE) {
		missing = append(missing, "CAP_SYS_PTRACE")
	}
	if !own.Has(unix.CAP_DAC_READ_SEARCH) && !own.Has(unix.CAP_DAC_OVERRIDE) {
		missing = append(missing, "CAP_DAC_READ_SEARCH")
	}
	if missing != nil {
		return &capability.MissingError{What: "the owners of other users' sockets stay unknown", Names: missing}
	}
	return nil
}
