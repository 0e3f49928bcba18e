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
	return capability.Check("other network namespaces cannot be collected",
		capability.Need{Name: "CAP_SYS_ADMIN", AnyOf: []int{unix.CAP_SYS_ADMIN}},
		capability.Need{Name: "CAP_SYS_PTRACE", AnyOf: []int{unix.CAP_SYS_PTRACE}},
	)
}
