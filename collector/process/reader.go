//go:build linux

package process

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// longestArguments is how much of a command line is read, in bytes.
const longestArguments = 4096

// Reader reads what the proc file system says of processes. It is for one
// caller at a time.
type Reader struct {
	proc string
	buf  [longestArguments + 1]byte // one more, to see whether there is more
}

// NewReader returns a Reader of the proc file system mounted at proc.
func NewReader(proc string) *Reader {
	return &Reader{proc: proc}
}

// Name returns the name of a process (comm), "" if it is gone. It can be of any
// bytes but NUL, as the process pleases.
func (r *Reader) Name(pid int32) string {
	return string(bytes.TrimSuffix(r.read(pid, "comm"), []byte("\n")))
}

// Arguments returns the command line of a process as it is now, nil for a
// kernel thread and for a process that is gone or may not be read.
//
// It is what stands in the first 4096 bytes. An argument that the bound cuts
// ends before its first colon: in user:password@host it is the end that tells
// what the beginning is.
//
// A process can write over its command line, as setproctitle(3) does. What it
// writes is one argument as a rule, with blanks in it ("nginx: master process
// /usr/sbin/nginx"), and can be padded; blanks and NULs at the end are left out.
func (r *Reader) Arguments(pid int32) []string {
	return arguments(r.read(pid, "cmdline"))
}

// arguments splits a command line as the kernel writes it, of which there may be
// more than longestArguments.
func arguments(b []byte) []string {
	if len(b) > longestArguments {
		b = uncut(b)
	}
	b = bytes.TrimRight(b, "\x00 ")
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

// uncut returns the first longestArguments bytes of b, which has more, less what
// may be the beginning of credentials.
func uncut(b []byte) []byte {
	if b[longestArguments] == 0 {
		return b[:longestArguments]
	}
	b = b[:longestArguments]
	start := bytes.LastIndexByte(b, 0) + 1
	if colon := bytes.IndexByte(b[start:], ':'); colon >= 0 {
		b = b[:start+colon]
	}
	return b
}

// read returns a file of a process, as much as there is room for, until the
// next call; it is empty if there is no such process, or it may not be read.
func (r *Reader) read(pid int32, name string) []byte {
	fd, err := unix.Open(r.proc+"/"+strconv.Itoa(int(pid))+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	total := 0
	for total < len(r.buf) {
		n, err := unix.Read(fd, r.buf[total:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			break // the process left meanwhile, or this was all
		}
		total += n
	}
	return r.buf[:total]
}
