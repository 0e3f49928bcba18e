//go:build linux

// Package netnstest runs the tests of a package in a network namespace of
// their own, so that real sockets can be made and counted without a stranger
// among them.
//
// Only tests import it. It imports nothing of the project.
package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// inside is set in the environment of the process that is in the namespace.
const inside = "NETNSTEST_INSIDE"

// Main is to be called from TestMain. It runs the test binary again in a new
// network namespace, whose loopback interface it brings up, and leaves with its
// exit code. A whole process is moved, not a thread, so every goroutine of a
// test is in the namespace. Without root it takes a user namespace as well.
// cleanup is called, in the namespace, when the tests are done.
func Main(m *testing.M, cleanup ...func()) {
	if os.Getenv(inside) != "" {
		if err := errors.Join(mountsPrivate(), loopbackUp()); err != nil {
			fmt.Fprintln(os.Stderr, "netnstest:", err)
			os.Exit(1)
		}
		code := m.Run()
		for _, f := range cleanup {
			f()
		}
		os.Exit(code)
	}
	// The fuzzer's workers hold pipes that a second process would not get, and
	// fuzz targets need no namespace.
	if slices.ContainsFunc(os.Args[1:], func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz=") || arg == "-test.fuzzworker" }) {
		os.Exit(m.Run())
	}
	os.Exit(again())
}

func again() int {
	// Pdeathsig is sent when the thread that started the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		fmt.Fprintf(os.Stderr, "netnstest: a network namespace is needed (root, or user namespaces allowed): %v\n", err)
		return 1
	}
}

// mountsPrivate keeps what a test mounts from everybody else.
func mountsPrivate() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	return nil
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	return nil
}
