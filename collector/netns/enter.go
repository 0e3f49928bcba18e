//go:build linux

package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrOther is returned where a path leads to another namespace than it did.
var ErrOther = errors.New("it is another network namespace by now")

// Do calls f on a thread that is in the namespace, and in no other thread. f
// must not start goroutines that are to be in it. The thread is moved back
// before Do returns; one that cannot be is ended and serves no other goroutine.
//
// It needs CAP_SYS_ADMIN. The error is f's, or says what was attempted.
func Do(ns Namespace, f func() error) error {
	target, err := os.Open(ns.Path)
	if err != nil {
		return fmt.Errorf("open the network namespace %s: %w", ns.Path, err)
	}
	defer target.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(target.Fd()), &stat); err != nil {
		return fmt.Errorf("look at the network namespace %s: %w", ns.Path, err)
	}
	if uint32(stat.Ino) != ns.Inode {
		return fmt.Errorf("enter the network namespace %s: %w", ns.Path, ErrOther)
	}
	done := make(chan error, 1)
	go func() { done <- inThread(target, ns.Path, f) }()
	return <-done
}

// inThread runs on a goroutine of its own, so that a thread that cannot be
// moved back ends with it: the runtime ends a thread whose goroutine ends
// locked.
func inThread(target *os.File, path string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread() // it has not been moved
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter the network namespace %s: %w", path, err)
	}
	result := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return errors.Join(result, fmt.Errorf("leave the network namespace %s: %w", path, err))
	}
	runtime.UnlockOSThread()
	return result
}
