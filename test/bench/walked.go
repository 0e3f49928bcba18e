//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// walkedCommand is the first argument of a process that walks the kernel's
// tables for those who wait, and has its answer ready.
const walkedCommand = "walked"

// moreLooks is how many looks in a row have to bring nobody before those who have
// asked are answered without the others.
const moreLooks = 50

// walker is a server that gives each request as many bytes as an answer has, after
// a dump of all sockets that began when it had come, and does nothing else: no
// HTTP, no records, no second thread. One dump is for all who have a connection,
// as far as they ask again at once. It is the floor under every server that takes
// its answers from fresh dumps.
type walker struct {
	dump   *bareDump
	answer []byte
	listen int // file descriptor
	poll   int // of an epoll
	asked  []int
	open   int // connections
	events [64]unix.EpollEvent
	in     [4 << 10]byte // more than a request has, which its client sends at once
}

// walked is the process whose argument is how many bytes it answers with.
func walked(ctx context.Context, args []string) error {
	size, err := answerSize(walkedCommand, args)
	if err != nil {
		return err
	}
	dump, err := dialBare()
	if err != nil {
		return err
	}
	defer dump.close()
	w := &walker{dump: dump, answer: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%*s", size, size, "")}
	if w.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	defer unix.Close(w.poll)
	address, err := w.listens()
	if err != nil {
		return err
	}
	defer unix.Close(w.listen)
	fmt.Fprintln(os.Stdout, address)
	for ctx.Err() == nil {
		if err := w.serve(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil // and with the process its connections
}

// listens listens on a free port.
func (w *walker) listens() (address netip.AddrPort, err error) {
	if w.listen, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return address, fmt.Errorf("make a socket: %w", err)
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if err := unix.Bind(w.listen, &unix.SockaddrInet4{Addr: loopback.As4()}); err != nil {
		return address, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(w.listen, 128); err != nil {
		return address, fmt.Errorf("listen: %w", err)
	}
	bound, err := unix.Getsockname(w.listen)
	if err != nil {
		return address, fmt.Errorf("ask for the port: %w", err)
	}
	return netip.AddrPortFrom(loopback, uint16(bound.(*unix.SockaddrInet4).Port)), w.waitFor(w.listen)
}

func (w *walker) waitFor(fd int) error {
	if err := unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("wait for a socket: %w", err)
	}
	return nil
}

// serve waits for requests, for a while, and answers them.
func (w *walker) serve(ctx context.Context) error {
	w.asked = w.asked[:0]
	const millisecondsToEnd = 100
	if err := w.take(millisecondsToEnd); err != nil || len(w.asked) == 0 {
		return err
	}
	for left := moreLooks; left > 0 && len(w.asked) < w.open; left-- {
		before := len(w.asked)
		if err := w.take(0); err != nil {
			return err
		}
		if len(w.asked) > before {
			left = moreLooks
		}
	}
	if err := w.dump.dump(ctx); err != nil {
		return fmt.Errorf("dump the sockets: %w", err)
	}
	for _, fd := range w.asked {
		if n, err := unix.Write(fd, w.answer); err != nil || n != len(w.answer) {
			return fmt.Errorf("answer: %d bytes of %d: %w", n, len(w.answer), err)
		}
	}
	return nil
}

// take takes what has come: connections, their ends and requests.
func (w *walker) take(timeout int) error {
	n, err := unix.EpollWait(w.poll, w.events[:], timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for requests: %w", err)
	}
	for _, event := range w.events[:max(n, 0)] {
		fd := int(event.Fd)
		if fd == w.listen {
			if err := w.accept(); err != nil {
				return err
			}
			continue
		}
		if n, err := unix.Read(fd, w.in[:]); err != nil || n == 0 { // a client ends by a reset
			unix.Close(fd)
			w.open--
			continue
		}
		w.asked = append(w.asked, fd)
	}
	return nil
}

func (w *walker) accept() error {
	fd, _, err := unix.Accept4(w.listen, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("take a connection: %w", err)
	}
	w.open++
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	return w.waitFor(fd)
}
