//go:build linux && interop

package interop_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test has started and that ends with the test.
type process struct {
	cmd    *exec.Cmd
	log    string // file with what it wrote to stderr, and to stdout where that was not taken
	exited chan struct{}
}

// start starts cmd, with its output in the file log.
func start(t *testing.T, cmd *exec.Cmd, log string) *process {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = file
	}
	cmd.Stderr = file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // nothing is left if the tests are killed
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	p := &process{cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, p.said())
		}
	})
	return p
}

// stop ends the process and waits for it. It may have ended.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Errorf("%s did not end within 30 s of SIGTERM", p.cmd.Path)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// said returns the end of the log.
func (p *process) said() string {
	const most = 4000
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// eventually waits until done reports true. It reports what it still waits for
// when it gives up.
func eventually(t *testing.T, within time.Duration, done func() (ok bool, waitingFor string)) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		ok, waitingFor := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, waitingFor)
		}
	}
}
