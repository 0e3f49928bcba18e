//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// daemon is a running `connectionsd serve`.
type daemon struct {
	cmd     *exec.Cmd
	started time.Time
	address netip.AddrPort // of its HTTP server
	log     *measuring.Tail
	exited  chan struct{}
}

// endWithin is how long the daemon may take to end before it is killed.
const endWithin = 15 * time.Second

// launch starts the daemon and does not wait for it. Port 0 is any.
func launch(ctx context.Context, path string, port uint16, flags ...string) (*daemon, *bufio.Reader, error) {
	d := &daemon{log: new(measuring.Tail), exited: make(chan struct{}), address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
	d.cmd = exec.CommandContext(ctx, path, append([]string{
		"serve", "--rpc-bind-port", strconv.Itoa(int(port)), "--netns", "self", "--container-api", "none",
		"--log-level", "warn", "--log-format", "json",
	}, flags...)...)
	d.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONNECTIONSD_") })
	d.cmd.Stderr = d.log
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = endWithin
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing is left if this program is killed
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	d.started = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the daemon: %w", err)
	}
	return d, bufio.NewReader(stdout), nil
}

// serve starts the daemon and waits until it answers.
func serve(ctx context.Context, path string, flags ...string) (*daemon, error) {
	d, stdout, err := launch(ctx, path, 0, flags...)
	if err != nil {
		return nil, err
	}
	line, err := stdout.ReadString('\n') // a command line to copy, once it answers
	d.follow()
	if err != nil {
		<-d.exited
		return nil, fmt.Errorf("the daemon has ended: %s", d.log)
	}
	_, url, _ := strings.Cut(line, "http://")
	text, _, _ := strings.Cut(url, "/")
	if d.address, err = netip.ParseAddrPort(text); err != nil {
		return nil, errors.Join(fmt.Errorf("the daemon says %q, which has no address: %w", line, err), d.close())
	}
	return d, nil
}

// follow waits for the daemon, once its output has been read.
func (d *daemon) follow() {
	go func() {
		_ = d.cmd.Wait() // its exit code is in ProcessState
		close(d.exited)
	}()
}

// close ends the daemon, and says what was wrong with its end and its log.
func (d *daemon) close() error {
	_, err := d.end(syscall.SIGTERM)
	return err
}

// end sends SIGTERM, waits for the end and returns how long it took.
func (d *daemon) end(signal syscall.Signal) (time.Duration, error) {
	began := time.Now()
	_ = d.cmd.Process.Signal(signal) // it may have ended
	select {
	case <-d.exited:
	case <-time.After(endWithin):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return endWithin, fmt.Errorf("the daemon did not end within %s", endWithin)
	}
	took := time.Since(began)
	if code := d.cmd.ProcessState.ExitCode(); code != 0 && signal != syscall.SIGKILL {
		return took, fmt.Errorf("the daemon ended with exit code %d: %s", code, d.log)
	}
	if strings.Contains(d.log.String(), "panic") {
		return took, fmt.Errorf("the daemon panicked: %s", d.log)
	}
	return took, nil
}

// usage is what the daemon takes at a moment.
type usage struct {
	resident   int64 // bytes
	peak       int64 // bytes that were resident at the most
	threads    int
	files      int
	goroutines int // 0: not asked for
}

// usage looks at /proc.
func (d *daemon) usage() (u usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", d.cmd.Process.Pid)
	number := func(name string) int64 {
		n, parseErr := strconv.ParseInt(strings.TrimSuffix(measuring.ValueOf(dir+"status", name), " kB"), 10, 64)
		if parseErr != nil {
			err = fmt.Errorf("read %s of the daemon: %w", name, parseErr)
		}
		return n
	}
	u = usage{resident: number("VmRSS") << 10, peak: number("VmHWM") << 10, threads: int(number("Threads"))}
	if err != nil {
		return u, err
	}
	files, err := os.ReadDir(dir + "fd")
	u.files = len(files)
	return u, err
}
