//go:build linux

package owner

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// PrivilegeError says which capabilities are missing to see the owners of
// other users' sockets (proc_pid_readlink and proc_fd_permission in fs/proc).
type PrivilegeError struct {
	// Missing are names such as CAP_SYS_PTRACE.
	Missing []string
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("the owners of other users' sockets stay unknown without %s", strings.Join(e.Missing, " and "))
}

// CheckPrivilege returns a *PrivilegeError if this process may not look into
// every other process's descriptors, and nil if it may.
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
		return &PrivilegeError{Missing: missing}
	}
	return nil
}
