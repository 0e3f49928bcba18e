//go:build linux

package taskfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrNoConnections is the error of Connections where the kernel cannot iterate
// over the files of one process, which it can since Linux 6.1.
var ErrNoConnections = errors.New("the kernel cannot show the files of one process to BPF: it is older than Linux 6.1")

// Connection is a TCP connection that a process holds. It lies in memory as
// struct connection of the BPF program.
type Connection struct {
	// Inode is the socket's inode number, NetNS that of its network namespace.
	Inode, NetNS uint32
	// Local and Remote are the addresses; one of IPv4 is in the first four bytes.
	Local, Remote [16]byte
	LocalPort     uint16
	// RemotePort is big-endian.
	RemotePort [2]byte
	// Interface is the index of the interface that the socket is bound to, or 0.
	Interface uint32
	// Family is AF_INET or AF_INET6, Protocol IPPROTO_TCP or IPPROTO_MPTCP: of the
	// TCP connections that one of the second is made of it says nothing.
	Family, Protocol uint16
}

// Connections appends the TCP connections that a process and its threads hold to
// dst, one for each descriptor; not what listens, and what was never connected.
// pid is its number in the pid namespace of the caller. A process that has left
// has none.
func (p *Program) Connections(ctx context.Context, pid int32, dst []Connection) ([]Connection, error) {
	if p.connections == nil {
		return dst, ErrNoConnections
	}
	return readOf(ctx, p.connections, pid, dst)
}

// ReadOf is Read for one process and its threads. A process that has left has
// none. The error is ErrNoConnections where the kernel cannot do that.
func (p *Program) ReadOf(ctx context.Context, pid int32, dst []Record) ([]Record, error) {
	return readOf(ctx, p.program, pid, dst)
}

func readOf[T Record | Connection](ctx context.Context, program *ebpf.Program, pid int32, dst []T) ([]T, error) {
	file, err := openOf(program, pid)
	switch {
	case errors.Is(err, unix.ESRCH):
		return dst, nil
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.EINVAL):
		return dst, ErrNoConnections
	case err != nil:
		return dst, fmt.Errorf("begin to read the files of process %d: %w", pid, err)
	}
	defer file.Close()
	return read(ctx, file, dst)
}

// openOf opens an iterator over the files of one process. The library knows only
// those over the files of all.
func openOf(program *ebpf.Program, pid int32) (*os.File, error) {
	// union bpf_iter_link_info of include/uapi/linux/bpf.h, its member task.
	info := &struct{ tid, pid, pidFD uint32 }{pid: uint32(pid)}
	var pinner runtime.Pinner // the kernel is given the address as a number
	pinner.Pin(info)
	defer pinner.Unpin()
	// union bpf_attr, what BPF_LINK_CREATE takes of it.
	create := struct {
		program, target, attachType, flags uint32
		info                               uint64
		infoSize, _                        uint32
	}{
		program: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceIter),
		info: uint64(uintptr(unsafe.Pointer(info))), infoSize: uint32(unsafe.Sizeof(*info)),
	}
	link, err := bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&create), unsafe.Sizeof(create))
	if err != nil {
		return nil, err
	}
	defer unix.Close(link) // the iterator keeps what it needs
	open := struct{ link, flags uint32 }{link: uint32(link)}
	iterator, err := bpf(unix.BPF_ITER_CREATE, unsafe.Pointer(&open), unsafe.Sizeof(open))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(iterator), "bpf_iter"), nil
}

// bpf is bpf(2), for commands that return a descriptor.
func bpf(command int, attr unsafe.Pointer, size uintptr) (fd int, err error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
