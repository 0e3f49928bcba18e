//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// process is a program that was started to be measured.
type process struct {
	cmd    *exec.Cmd
	said   *measuring.Tail // on stderr
	exited chan struct{}
}

// start starts a program. Unless stdout is nil its output goes there.
func start(ctx context.Context, stdout io.Writer, path string, args ...string) (*process, error) {
	return startWith(ctx, stdout, nil, path, args...)
}

// startWith starts one with more in its environment.
func startWith(ctx context.Context, stdout io.Writer, env []string, path string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, path, args...), said: new(measuring.Tail), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = stdout, p.said
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONNECTIONSD_") })
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = endWithin
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing is left if this program is killed
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		_ = p.cmd.Wait() // that it ended is what counts
		close(p.exited)
	}()
	return p, nil
}

// endWithin is how long a process may take to end.
const endWithin = 30 * time.Second

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.exited:
	case <-time.After(endWithin):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// await calls ready until it returns no error.
func (p *process) await(ctx context.Context, ready func() error) error {
	const most = time.Minute
	for deadline := time.Now().Add(most); ; {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s has ended: %s", p.cmd.Path, p.said)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready within %s: %w", p.cmd.Path, most, err)
		}
	}
}

// cpuTime returns how long all threads of the process were on a core; 0 for a
// nil process.
func (p *process) cpuTime() (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	// MAKE_PROCESS_CPUCLOCK of include/linux/posix-timers.h with CPUCLOCK_SCHED.
	const sched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", p.cmd.Process.Pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// peakMemory returns how many bytes of it were resident at the most.
func (p *process) peakMemory() (int64, error) {
	value := measuring.ValueOf(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmHWM")
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read VmHWM of process %d: %w", p.cmd.Process.Pid, err)
	}
	return kib << 10, nil
}
