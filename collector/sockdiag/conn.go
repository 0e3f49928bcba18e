//go:build linux

package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Conn is one netlink socket to the kernel's sock_diag, at the level of whole
// datagrams. The kernel's own is made by [Dial]; sockdiagtest has a double.
type Conn interface {
	// Send sends one request, and does not keep it.
	Send(r Request) error
	// Receive reads one datagram into buf and returns its whole length, which
	// is larger than len(buf) if it did not fit, and the netlink port that sent
	// it (0: the kernel). Once ctx is done it waits for no more; what is there
	// already may still be returned.
	Receive(ctx context.Context, buf []byte) (n int, from uint32, err error)
	// Port returns the netlink port of this end.
	Port() (uint32, error)
	Close()
}

// Dial opens a netlink socket to the sock_diag of the calling thread's network
// namespace.
func Dial() (Conn, error) {
	// nl's own Subscribe with no group is the way to a socket of one's own.
	s, err := nl.Subscribe(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	return &kernelConn{socket: s, to: unix.RawSockaddrNetlink{Family: unix.AF_NETLINK}}, nil
}

type kernelConn struct {
	socket *nl.NetlinkSocket
	// to is the kernel's address, and from is where Receive has the kernel write the
	// sender's: x/sys/unix would allocate one for every datagram.
	to, from  unix.RawSockaddrNetlink
	scheduler scheduler
}

// Send is sendto(2) with the kernel's address, which never says EAGAIN
// (netlink_unicast_kernel in net/netlink/af_netlink.c). nl's own Send would
// allocate for every request.
func (c *kernelConn) Send(r Request) error {
	c.scheduler.begin(r.atOnce)
	for {
		switch errno := c.sendto(r.Bytes); errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

func (c *kernelConn) sendto(b []byte) (errno unix.Errno) {
	fd, at, length := uintptr(c.socket.GetFd()), unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))
	if c.scheduler.untold {
		began := time.Now()
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(at), length, 0, uintptr(unsafe.Pointer(&c.to)), unsafe.Sizeof(c.to))
		c.scheduler.took(time.Since(began))
	} else {
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(at), length, 0, uintptr(unsafe.Pointer(&c.to)), unsafe.Sizeof(c.to))
	}
	return errno
}

func (c *kernelConn) Port() (uint32, error) { return c.socket.GetPid() }

func (c *kernelConn) Close() { c.socket.Close() }

// receivePoll bounds how long a cancelled dump waits for a kernel that is
// silent, which the kernel is not while a dump goes on.
const receivePoll = 100 * time.Millisecond

// Receive reads with recvfrom into the caller's buffer: nl's own Receive
// allocates and copies 64 KiB for every datagram, and does not tell a
// truncated one.
func (c *kernelConn) Receive(ctx context.Context, buf []byte) (int, uint32, error) {
	fd := c.socket.GetFd()
	for {
		n, err := c.recvfrom(fd, buf)
		switch {
		case err == nil:
			if c.from.Family != unix.AF_NETLINK {
				return 0, 0, fmt.Errorf("%w: the sender's address is no netlink address", ErrForeign)
			}
			return n, c.from.Pid, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := context.Cause(ctx); err != nil {
				return 0, 0, err
			}
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, int(receivePoll.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
				return 0, 0, fmt.Errorf("wait for the kernel's answer: %w", err)
			}
		default:
			return 0, 0, err
		}
	}
}

// recvfrom is recvfrom(2). It returns the whole length of the datagram and writes
// the sender's address to c.from.
func (c *kernelConn) recvfrom(fd int, buf []byte) (int, error) {
	size := uint32(unsafe.Sizeof(c.from))
	at, length := unsafe.Pointer(unsafe.SliceData(buf)), uintptr(len(buf))
	const flags = unix.MSG_TRUNC | unix.MSG_DONTWAIT
	var n uintptr
	var errno unix.Errno
	if c.scheduler.untold {
		began := time.Now()
		n, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(at), length,
			flags, uintptr(unsafe.Pointer(&c.from)), uintptr(unsafe.Pointer(&size)))
		c.scheduler.took(time.Since(began))
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(at), length,
			flags, uintptr(unsafe.Pointer(&c.from)), uintptr(unsafe.Pointer(&size)))
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
