//go:build linux

package owner

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// UnavailableError says why the owners of sockets cannot be had from BPF here.
type UnavailableError struct {
	// Err is the reason: a *capability.MissingError where privilege is missing,
	// ErrPIDNamespace, or one that wraps the kernel's own.
	Err error
}

func (e *UnavailableError) Error() string { return "owners cannot be found by BPF: " + e.Err.Error() }

func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrPIDNamespace is the reason where this process knows other processes by
// other numbers than the kernel.
var ErrPIDNamespace = errors.New("this process is in a pid namespace of its own, where the kernel's process numbers mean nothing (a container needs the host's: --pid=host)")

// initialPIDNamespace is the inode number of the initial pid namespace:
// PROC_PID_INIT_INO of include/linux/proc_ns.h.
const initialPIDNamespace = 0xEFFFFFFC

// checkIterator returns why BPF cannot be used, as far as this process can
// tell.
func checkIterator() error {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return fmt.Errorf("look which pid namespace this process is in: %w", err)
	}
	if ns.Ino != initialPIDNamespace {
		return ErrPIDNamespace
	}
	return capability.Check("the kernel runs no BPF program for this process",
		capability.Need{Name: "CAP_BPF", AnyOf: []int{unix.CAP_BPF, unix.CAP_SYS_ADMIN}},
		capability.Need{Name: "CAP_PERFMON", AnyOf: []int{unix.CAP_PERFMON, unix.CAP_SYS_ADMIN}},
	)
}

// explain says for a person what it means that the program cannot be loaded.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the kernel does not permit it, as in a user namespace or under lockdown: %w", err)
	}
	return fmt.Errorf("it takes Linux 5.11 or later with type information of itself (/sys/kernel/btf/vmlinux), and this is Linux %s: %w", release(), err)
}

// release is what uname(1) -r prints.
func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of an unknown release"
	}
	return unix.ByteSliceToString(name.Release[:])
}
