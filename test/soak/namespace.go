//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// insideVariable is set in the environment of the process that is in the namespace.
const insideVariable = "CONNECTIONSD_SOAK_INSIDE"

func inNamespace() bool { return os.Getenv(insideVariable) != "" }

// insideError is that of the process in the namespace, which has said why.
type insideError struct{ code int }

func (e *insideError) Error() string {
	return fmt.Sprintf("exit code %d in the network namespace", e.code)
}

// rerun runs this program again, with args, in a new network namespace.
func rerun(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute // it ends what it has started
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	err := cmd.Run()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &insideError{exit.ExitCode()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("run in a network namespace of its own (this takes root): %w", err)
	}
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
