//go:build linux

package measuring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// insideVariable is set in the environment of the process that is in the namespace.
const insideVariable = "CONNECTIONSD_MEASURING_INSIDE"

// Inside reports whether this process is in the namespace of Rerun.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// InsideError is that of the process in the namespace, which has said why it failed.
type InsideError struct{ Code int } // its exit code

func (e *InsideError) Error() string {
	return fmt.Sprintf("exit code %d in the network namespace", e.Code)
}

// Rerun runs this program again, with args, in a new network namespace, which takes root. The process ends with this one.
// The error is an *InsideError where it ended by itself with an exit code that is not 0.
func Rerun(ctx context.Context, args []string) error {
	// Pdeathsig is sent when the thread that started the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
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
		return &InsideError{exit.ExitCode()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("run in a network namespace of its own (this takes root): %w", err)
	}
}

// LoopbackUp brings the loopback interface up, which in a new namespace is down.
func LoopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	return nil
}
