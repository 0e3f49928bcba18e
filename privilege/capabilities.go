//go:build linux

package privilege

import (
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// Of returns, of the capabilities that this process has, those that needs are
// met by: of each the first that it has. A need that is not met adds none.
func Of(needs []capability.Need) (capability.Effective, error) {
	own, err := capability.Own()
	if err != nil {
		return 0, err
	}
	var met capability.Effective
	for _, need := range needs {
		if i := slices.IndexFunc(need.AnyOf, own.Has); i >= 0 {
			met |= 1 << need.AnyOf[i]
		}
	}
	return met, nil
}

// Names returns what the capabilities of a set are called, such as
// CAP_SYS_PTRACE, in the order of their numbers.
func Names(set capability.Effective) []string {
	names := []string{}
	for _, value := range values(set) {
		names = append(names, name(value))
	}
	return names
}

// KeepOnly gives up all capabilities that are not in kept, and those that a
// program executed could gain: the bounding set, as far as CAP_SETPCAP is there
// to empty it, the ambient and the inheritable ones.
func KeepOnly(kept capability.Effective) error {
	if err := emptyBoundingSet(); err != nil {
		return err
	}
	return keep(kept)
}

// keep is KeepOnly without the bounding set.
func keep(kept capability.Effective) error {
	if err := cap.ResetAmbient(); err != nil {
		return fmt.Errorf("give up the ambient capabilities: %w", err)
	}
	set := cap.NewSet()
	for _, flag := range []cap.Flag{cap.Permitted, cap.Effective} {
		if err := set.SetFlag(flag, true, values(kept)...); err != nil {
			return fmt.Errorf("keep the capabilities %v: %w", Names(kept), err)
		}
	}
	if err := set.SetProc(); err != nil {
		return fmt.Errorf("keep no capabilities but %v: %w", Names(kept), err)
	}
	return nil
}

// emptyBoundingSet does nothing where this process may not: then, with
// no_new_privs, the set bounds nothing either.
func emptyBoundingSet() error {
	own, err := capability.Own()
	if err != nil {
		return err
	}
	if !own.Has(unix.CAP_SETPCAP) {
		return nil
	}
	for value := range cap.MaxBits() {
		if err := cap.DropBound(value); err != nil {
			return fmt.Errorf("give up %s for programs executed: %w", name(value), err)
		}
	}
	return nil
}

// values are the numbers of the capabilities of a set, for libcap.
func values(set capability.Effective) []cap.Value {
	var all []cap.Value
	for number := range 64 {
		if set.Has(number) {
			all = append(all, cap.Value(number))
		}
	}
	return all
}

// NoNewPrivileges sees to it that no program that this process may execute gives
// it any privilege (PR_SET_NO_NEW_PRIVS).
func NoNewPrivileges() error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// Undumpable keeps the memory of this process out of core dumps and from other
// processes of its user (PR_SET_DUMPABLE). A change of user or capabilities sets
// it anew, so it comes after them.
func Undumpable() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// Without calls f on a thread that does without the capabilities of a set, to
// find out whether f needs them. The error is f's, or says what was attempted.
func Without(set capability.Effective, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, and so nothing else
		// runs without what it needs.
		runtime.LockOSThread()
		if err := lower(set); err != nil {
			result <- fmt.Errorf("try without %v: %w", Names(set), err)
			return
		}
		result <- f()
	}()
	return <-result
}

// lower takes a set from the effective capabilities of the calling thread.
func lower(set capability.Effective) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= uint32(set)
	data[1].Effective &^= uint32(set >> 32)
	return unix.Capset(&header, &data[0])
}
