package rpc

import (
	"errors"
	"math"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

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

// deliveries looks at one connection again and again, how far what was written to it has come. An answer of a hundred thousand
// sockets is looked at for each part that is sent: x/sys/unix and a function of its own for each look would allocate
// five objects each time (BenchmarkDelivery).
type deliveries struct {
	begun bool
	raw   syscall.RawConn // nil: it has no descriptor
	look  func(fd uintptr)
	info  unix.TCPInfo
	size  uint32 // of info, in bytes
	now   delivery
}

// of looks at conn, which is the same each time. Of what is not TCP nothing is known.
func (d *deliveries) of(conn net.Conn) delivery {
	if !d.begun {
		d.begun, d.look = true, d.get
		if socket, ok := conn.(syscall.Conn); ok {
			if raw, err := socket.SyscallConn(); err == nil {
				d.raw = raw
			}
		}
	}
	d.now = delivery{}
	if d.raw != nil {
		_ = d.raw.Control(d.look) // it fails only if the socket is closed
	}
	return d.now
}

// get is getsockopt(2) with TCP_INFO.
func (d *deliveries) get(fd uintptr) {
	d.info, d.size = unix.TCPInfo{}, uint32(unsafe.Sizeof(d.info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&d.info)), uintptr(unsafe.Pointer(&d.size)), 0)
	if errno == 0 {
		d.now = delivery{known: true, taken: d.info.Bytes_acked, whole: d.info.Notsent_bytes == 0 && d.info.Unacked == 0}
	}
}

// handshake is how long one may take that has begun: on a busy host some milliseconds, and else a round trip. Where the
// kernel lets more begin, those who have come are kept waiting until no more do, for at the most sweepWithin.
const (
	handshake   = 100 * time.Millisecond
	sweepWithin = 200 * time.Millisecond
)

// sweep closes a listener and returns the connections that were in its queue, which the kernel would reset. It lets no more
// begin first, if it can: one that came between the last that is taken from the queue and the close would be reset too.
func sweep(l net.Listener) []net.Conn {
	var queued []int
	control(l, func(fd int) {
		if _, isTCP := l.Addr().(*net.TCPAddr); !isTCP {
			_ = unix.Shutdown(fd, unix.SHUT_RD) // the queue stays; without it nothing is worse than before
			queued = appendQueued(queued, fd)
			return
		}
		ignoreHandshakes(fd)
		for deadline, coming := time.Now().Add(sweepWithin), true; coming && time.Now().Before(deadline); {
			queued = appendQueued(queued, fd)
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(handshake.Milliseconds()))
			coming = ready > 0 || errors.Is(err, unix.EINTR)
		}
		queued = appendQueued(queued, fd)
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

// ignoreHandshakes has the kernel drop the packets that begin a connection to a listener of TCP. Their clients send them
// again after a second, and are told then that nobody listens. It does not so for MPTCP, and some kernels do not without
// privilege: then a connection can be reset that comes at the same moment as the end.
func ignoreHandshakes(fd int) {
	const flags, syn, ack = 13, 1 << 1, 1 << 4 // in the TCP header, where the filter of a socket begins
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: math.MaxUint32},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

// appendQueued appends the connections that are in the queue of a listener.
func appendQueued(queued []int, fd int) []int {
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case err == nil:
			queued = append(queued, conn)
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED):
		default:
			return queued // EAGAIN: there are no more; whatever else: there is nothing to be done
		}
	}
}

// control calls do with the descriptor of a connection or listener, if it has one.
func control(socket any, do func(fd int)) {
	if socket, ok := socket.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // it fails only if the socket is closed
		}
	}
}
