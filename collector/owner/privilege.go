//go:build linux

package owner

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
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
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("ask for the capabilities of this process: %w", err)
	}
	has := func(c uint) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	var missing []string
	if !has(unix.CAP_SYS_PTRACE) {
		missing = append(missing, "CAP_SYS_PTRACE")
	}
	if !has(unix.CAP_DAC_READ_SEARCH) && !has(unix.CAP_DAC_OVERRIDE) {
		missing = append(missing, "CAP_DAC_READ_SEARCH")
	}
	if missing != nil {
		return &PrivilegeError{Missing: missing}
	}
	return nil
}
