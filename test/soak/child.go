//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// child is a process of this program that holds sockets. It tells of them now and then, and ends when its input does.
type child[News any] struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	news   chan News     // the last of them, if nobody has taken it
	exited chan struct{} // closed when it has ended, with
	err    error
}

// startChild starts a process with such arguments.
func startChild[News any](ctx context.Context, args ...string) (*child[News], error) {
	c := &child[News]{cmd: exec.CommandContext(ctx, "/proc/self/exe", args...), news: make(chan News, 1), exited: make(chan struct{})}
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process that holds sockets: %w", err)
	}
	go c.follow(stdout)
	return c, nil
}

// follow keeps what the process says, until it ends.
func (c *child[News]) follow(stdout io.Reader) {
	defer close(c.exited)
	decoder := json.NewDecoder(bufio.NewReader(stdout))
	for {
		var n News
		if decoder.Decode(&n) != nil {
			break // the process has ended, or that shows in its exit code
		}
		select {
		case <-c.news:
		default:
		}
		c.news <- n
	}
	c.err = c.cmd.Wait()
}

// next waits for what the process says next.
func (c *child[News]) next(ctx context.Context) (n News, err error) {
	select {
	case n = <-c.news:
		return n, nil
	case <-c.exited:
		return n, fmt.Errorf("the process that holds sockets has ended: %w", c.err)
	case <-ctx.Done():
		return n, context.Cause(ctx)
	}
}

// close ends the process and waits for it.
func (c *child[News]) close() error {
	c.stdin.Close()
	<-c.exited
	if c.err != nil {
		return fmt.Errorf("the process that held sockets: %w", c.err)
	}
	return nil
}

// untilInputEnds returns a context that ends with the input of this process.
func untilInputEnds(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx, cancel
}

// tell tells the parent.
func tell(news any) error {
	if err := json.NewEncoder(os.Stdout).Encode(news); err != nil {
		return fmt.Errorf("tell of the sockets: %w", err)
	}
	return nil
}

// allowFiles lets this process open so many files.
func allowFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("ask for the limit of open files: %w", err)
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("allow %d open files: %w", n, err)
	}
	return nil
}

// resetAndClose closes a socket so that it leaves no TIME_WAIT.
func resetAndClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}
