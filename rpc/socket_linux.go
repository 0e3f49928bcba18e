package rpc

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasUnread reports whether bytes have come on a connection that nobody has read yet.
func hasUnread(conn net.Conn) bool {
	found := false
	control(conn, func(fd int) {
		n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		found = err == nil && n > 0
	})
	return found
}

// hasUnsent reports whether bytes were written to a connection that its client has not taken yet. Of what is not TCP it is
// taken to be so.
func hasUnsent(conn net.Conn) bool {
	found := true
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
		found = err != nil || info.Notsent_bytes > 0 || info.Unacked > 0
	})
	return found
}

// sweep closes a listener and returns the connections that were in its queue, which the kernel would reset. Nothing is in
// between but the two system calls.
func sweep(l net.Listener) []net.Conn {
	var queued []int
	control(l, func(fd int) {
		for {
			conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			switch {
			case err == nil:
				queued = append(queued, conn)
			case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED):
			default:
				return // EAGAIN: there are no more; whatever else: there is nothing to be done
			}
		}
	})
	_ = l.Close() // it fails only if it was closed before
	var conns []net.Conn
	for _, fd := range queued {
		file := os.NewFile(uintptr(fd), "")
		conn, err := net.FileConn(file) // with a descriptor of its own
		file.Close()
		if err == nil {
			conns = append(conns, conn)
		}
	}
	return conns
}

// control calls do with the descriptor of a connection or listener, if it has one.
func control(socket any, do func(fd int)) {
	if socket, ok := socket.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // it fails only if the socket is closed
		}
	}
}
