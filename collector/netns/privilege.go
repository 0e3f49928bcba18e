//go:build linux

package netns

import (
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// CheckPrivilege returns a *capability.MissingError if this process may not
// find and enter every other network namespace (netns_install in
// net/core/net_namespace.c, proc_ns_get_link in fs/proc/namespaces.c), and nil
// if it may.
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
		return &capability.MissingError{What: "other network namespaces cannot be collected", Names: missing}
	}
	return nil
}
