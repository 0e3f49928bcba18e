//go:build linux

package churn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// endWithin is how long a process may take to end.
const endWithin = 30 * time.Second

// holding is a holder, as who started it sees it.
type holding struct {
	process
	cmd   *exec.Cmd
	stdin io.WriteCloser
	tell  *gob.Encoder
	heard *gob.Decoder
	// targets are where it listens.
	targets targets
	done    chan struct{} // closed when nothing more is heard of it
}

// startHolder starts a holder in a namespace and waits until it listens.
func startHolder(ctx context.Context, n *namespace, name string) (*holding, error) {
	h := &holding{cmd: exec.CommandContext(ctx, "/proc/self/exe"), done: make(chan struct{})}
	// The race detector would have the process wait for a second before it ends.
	h.cmd.Env = append(os.Environ(), holderVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	h.cmd.Stderr = os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing is left if this process is killed
	var err error
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.do(h.cmd.Start); err != nil {
		return nil, fmt.Errorf("start a holder: %w", err)
	}
	h.tell, h.heard = gob.NewEncoder(h.stdin), gob.NewDecoder(bufio.NewReaderSize(stdout, 64<<10))
	if err := h.heard.Decode(&h.targets); err != nil {
		close(h.done)
		return nil, errors.Join(fmt.Errorf("hear where holder %s listens: %w", name, err), h.close())
	}
	h.process = process{h.targets.PID, h.targets.Name}
	return h, nil
}

// follow has the truth hear what the holder says, until that ends.
func (h *holding) follow(t *truth, number int) {
	defer close(h.done)
	for {
		var r report
		if err := h.heard.Decode(&r); err != nil {
			t.fail(fmt.Errorf("hear holder %s: %w", h.name, err))
			return
		}
		t.hear(number, &h.process, &r)
	}
}

// close ends the holder and waits for it.
func (h *holding) close() error {
	h.stdin.Close()
	<-h.done
	if err := h.cmd.Wait(); err != nil {
		return fmt.Errorf("holder %s: %w", h.name, err)
	}
	return nil
}

// daemon is a running `connectionsd serve`.
type daemon struct {
	process
	cmd    *exec.Cmd
	url    string // http://127.0.0.1:PORT
	log    *lines
	exited chan struct{}
}

// startDaemon starts the daemon in a namespace, of which it tells alone, and
// waits until it answers.
func startDaemon(ctx context.Context, n *namespace, path string, flags ...string) (*daemon, error) {
	d := &daemon{log: new(lines), exited: make(chan struct{})}
	d.cmd = exec.CommandContext(ctx, path, append([]string{
		"serve", "--rpc-bind-port", "0", "--rate-limit", "0", "--netns", "self", "--container-api", "none", "--log-level", "warn", "--log-format", "json",
	}, flags...)...)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	d.cmd.Stderr = d.log
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = endWithin
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.do(d.cmd.Start); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n') // a command line to copy, once it answers
	go func() {
		_ = d.cmd.Wait() // its exit code is in ProcessState
		close(d.exited)
	}()
	if err != nil {
		<-d.exited
		return nil, fmt.Errorf("the daemon has ended: %s", d.log)
	}
	d.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", d.cmd.Process.Pid))
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.process = process{int32(d.cmd.Process.Pid), strings.TrimSpace(string(comm))}
	return d, nil
}

// close ends the daemon and waits for it.
func (d *daemon) close() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-d.exited:
	case <-time.After(endWithin):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return fmt.Errorf("the daemon did not end within %s", endWithin)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the daemon ended with exit code %d: %s", code, d.log)
	}
	return nil
}

// lines keeps the beginning of what is written to it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	const most = 64 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b[:min(len(b), most-l.text.Len())])
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
