//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// holdCommand is the first argument of a process that holds sockets.
const holdCommand = "hold"

// Bounds of what is made: each process has an address of its own, 127.0.k.1,
// and of that the ports that the kernel gives to who connects, 28,232 where
// nobody has set others (ip_local_port_range).
const (
	maxProcesses = 200
	maxPairs     = 25000
)

// sockets are the processes that hold them.
type sockets struct {
	holders []*holder
}

type holder struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

// makeSockets starts the processes and returns when each has its sockets. They
// end with close, and with this process.
func makeSockets(ctx context.Context, of size) (*sockets, error) {
	var s sockets
	for k := range of.processes {
		h, err := startHolder(ctx, k, of.pairs, 0)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.holders = append(s.holders, h)
	}
	for _, h := range s.holders {
		if err := h.ready(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return &s, nil
}

// add starts one more process, which listens on a port of its own, and returns
// when it has its sockets.
func (s *sockets) add(ctx context.Context, pairs int, port uint16) error {
	h, err := startHolder(ctx, len(s.holders), pairs, port)
	if err != nil {
		return err
	}
	s.holders = append(s.holders, h)
	return h.ready()
}

// startHolder starts process k. Port 0 is any.
func startHolder(ctx context.Context, k, pairs int, port uint16) (*holder, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", holdCommand, strconv.Itoa(k), strconv.Itoa(pairs), strconv.Itoa(int(port)))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process that holds sockets: %w", err)
	}
	return &holder{cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}, nil
}

// ready waits until the process has done what it was told.
func (h *holder) ready() error {
	line, err := h.lines.ReadString('\n')
	if err != nil || line != "ready\n" {
		return fmt.Errorf("process %d, which is to hold sockets, said %q: %w", h.cmd.Process.Pid, line, err)
	}
	return nil
}

// replace has each process close so many of its connections and open as many
// others.
func (s *sockets) replace(pairs int) error {
	for _, h := range s.holders {
		if _, err := fmt.Fprintln(h.stdin, pairs); err != nil {
			return fmt.Errorf("tell process %d to replace sockets: %w", h.cmd.Process.Pid, err)
		}
		if err := h.ready(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the processes and waits for them.
func (s *sockets) close() error {
	var errs []error
	for _, h := range s.holders {
		h.stdin.Close()
	}
	for _, h := range s.holders {
		if err := h.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("process %d, which held sockets: %w", h.cmd.Process.Pid, err))
		}
	}
	return errors.Join(errs...)
}

// hold is the process whose arguments are its number, how many connections it
// makes and the port that it listens on. It makes them at an address of its own,
// so that it has all ports to itself, and holds them until its input ends. A
// line of input is a number of connections to close and to replace by others.
func hold(args []string) error {
	runtime.GOMAXPROCS(1)
	var numbers [3]int
	for i := range numbers {
		if len(args) != len(numbers) {
			return fmt.Errorf("%s has %d arguments, want %d", holdCommand, len(args), len(numbers))
		}
		n, err := strconv.Atoi(args[i])
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	p := pool{address: unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(numbers[0] + 1), 1}, Port: numbers[2]}}
	if err := p.listen(); err != nil {
		return err
	}
	if err := p.open(numbers[1]); err != nil {
		return err
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil || n > len(p.ends)/2 {
			return fmt.Errorf("told to replace %q connections of %d", lines.Text(), len(p.ends)/2)
		}
		p.shut(n)
		if err := p.open(n); err != nil {
			return err
		}
		fmt.Println("ready")
	}
	p.shut(len(p.ends) / 2) // what comes next is not to be slowed by TIME_WAIT
	return nil
}

// pool is the connections of one process.
type pool struct {
	address  unix.SockaddrInet4
	listener int
	ends     []int // both of each connection, the oldest first
}

func (p *pool) listen() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	if err := unix.Bind(fd, &p.address); err != nil {
		return fmt.Errorf("bind to 127.0.%d.1: %w", p.address.Addr[2], err)
	}
	if err := unix.Listen(fd, 8); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("ask for the port: %w", err)
	}
	p.address.Port = bound.(*unix.SockaddrInet4).Port
	p.listener = fd
	return nil
}

func (p *pool) open(pairs int) error {
	for range pairs {
		// A connection to a listener is made before it is accepted.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("make socket %d: %w", len(p.ends), err)
		}
		if err := uninterrupted(func() error { return unix.Connect(fd, &p.address) }); err != nil {
			return fmt.Errorf("open connection %d: %w", len(p.ends)/2, err)
		}
		var accepted int
		err = uninterrupted(func() (err error) {
			accepted, _, err = unix.Accept4(p.listener, unix.SOCK_CLOEXEC)
			return err
		})
		if err != nil {
			return fmt.Errorf("accept connection %d: %w", len(p.ends)/2, err)
		}
		p.ends = append(p.ends, fd, accepted)
	}
	return nil
}

// uninterrupted calls f again where a signal came in between. A connect that
// is interrupted goes on by itself, and the second call waits for it.
func uninterrupted(f func() error) error {
	for {
		err := f()
		if errors.Is(err, unix.EISCONN) {
			return nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EALREADY) {
			return err
		}
	}
}

// shut closes the oldest connections, with a reset, which leaves no TIME_WAIT.
func (p *pool) shut(pairs int) {
	for _, fd := range p.ends[:2*pairs] {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
	}
	p.ends = append(p.ends[:0], p.ends[2*pairs:]...)
}
