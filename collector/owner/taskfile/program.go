//go:build linux

package taskfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Record says that a process holds a TCP socket. It lies in memory as struct
// record of the BPF program, in native byte order.
type Record struct {
	// TGID is the process's number in the initial pid namespace.
	TGID uint32
	// Inode is the socket's inode number.
	Inode uint32
}

// Program is the BPF programs in the kernel. It is for one caller at a time.
type Program struct {
	program *ebpf.Program
	iter    *link.Iter
	// connections is for Connections, nil where the kernel does not take it.
	connections *ebpf.Program
}

// Load hands the program to the kernel. This takes CAP_BPF and CAP_PERFMON, or
// CAP_SYS_ADMIN, in the initial user namespace, Linux 5.11 and its own BTF at
// /sys/kernel/btf/vmlinux. The limit on locked memory, which BPF programs once
// counted against, does not matter: Linux 5.11 has done away with that too.
func Load() (*Program, error) {
	var sockets struct {
		Program *ebpf.Program `ebpf:"tcp_sockets"`
	}
	// To decode the kernel's types is most of what this takes, tens of milliseconds: once is enough.
	once := &ebpf.CollectionOptions{Cache: btf.NewCache()}
	if err := loadTcpObjects(&sockets, once); err != nil {
		return nil, fmt.Errorf("load the BPF program: %w", err)
	}
	iter, err := link.AttachIter(link.IterOptions{Program: sockets.Program})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach the BPF program: %w", err), sockets.Program.Close())
	}
	p := &Program{program: sockets.Program, iter: iter}
	var connections struct {
		Program *ebpf.Program `ebpf:"tcp_connections"`
	}
	if err := loadTcpObjects(&connections, once); err == nil { // else there is no Connections
		p.connections = connections.Program
	}
	return p, nil
}

// Close takes the programs out of the kernel.
func (p *Program) Close() error {
	return errors.Join(p.iter.Close(), p.program.Close(), p.connections.Close())
}

// Read appends a record for each descriptor of a TCP socket to dst, so a
// process that has several of a socket comes several times.
//
// The kernel visits the tasks of the initial pid namespace in the order of
// their numbers, and of a process's threads beside the first only those that do
// not share its descriptors (task_seq_get_next in kernel/bpf/task_iter.c). A
// record of such a thread stands where the thread's number puts it, so records
// are mostly, but not always, in the order of TGID.
func (p *Program) Read(ctx context.Context, dst []Record) ([]Record, error) {
	file, err := p.iter.Open()
	if err != nil {
		return dst, fmt.Errorf("begin to read the files of all tasks: %w", err)
	}
	defer file.Close()
	return read(ctx, file, dst)
}

// room is how many bytes the kernel hands out in one read at the most
// (bpf_seq_read in kernel/bpf/bpf_iter.c).
const room = 32 << 10

// read appends the records that r has. They are read to where they are to stay.
func read[T Record | Connection](ctx context.Context, r io.Reader, dst []T) ([]T, error) {
	var record T
	size := int(unsafe.Sizeof(record))
	for {
		if err := context.Cause(ctx); err != nil {
			return dst, err
		}
		dst = slices.Grow(dst, room/size)
		n, err := r.Read(bytesOf(dst[len(dst):cap(dst)]))
		switch {
		case errors.Is(err, unix.EAGAIN):
			// A million files without a TCP socket among them, after which the
			// kernel comes up for air. It goes on from there.
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("read the files of all tasks: %w", err)
		case n%size != 0:
			return dst, fmt.Errorf("read the files of all tasks: %d bytes, which is no whole number of records of %d", n, size)
		default:
			dst = dst[:len(dst)+n/size]
		}
	}
}

// bytesOf returns the memory of records.
func bytesOf[T Record | Connection](records []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(records))), len(records)*int(unsafe.Sizeof(*new(T))))
}
