//go:build linux

package netns

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// PrivilegeError says which capabilities are missing to find and enter the
// network namespaces of others (netns_install in net/core/net_namespace.c,
// proc_ns_get_link in fs/proc/namespaces.c).
type PrivilegeError struct {
	// Missing are names such as CAP_SYS_ADMIN.
	Missing []string
}

func (e *PrivilegeError) Error() string {
	return "other network namespaces cannot be collected without " + strings.Join(e.Missing, " and ")
}

// CheckPrivilege returns a *PrivilegeError if this process may not find and
// enter every other network namespace, and nil if it may.
func CheckPrivilege() error {
	own, err := capability.Own()
	if err != nil {
		return err
	}
	var missing []string
	if !own.Has(unix.CAP_SYS_ADMIN) {
		missing = append(missing, "CAP_SYS_ADMIN")
	}
	if !own.Has(unix.CAP_SYS_PTRACE) {
		missing = append(missing, "CAP_SYS_PTRACE")
	}
	if missing != nil {
		return &PrivilegeError{Missing: missing}
	}
	return nil
}
