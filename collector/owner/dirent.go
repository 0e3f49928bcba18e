//go:build linux

package owner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direntName is the offset of the name in struct linux_dirent64
// (include/linux/dirent.h): behind ino (8), off (8), reclen (2), type (1).
const direntName = 19

// dirEntry is an entry of a directory.
type dirEntry struct {
	inode uint64
	name  []byte // with its terminating NUL
}

// nextDirent returns the first entry of b, and what follows it. ok is false where b
// is not made as getdents64(2) makes it.
func nextDirent(b []byte) (entry dirEntry, rest []byte, ok bool) {
	if len(b) < direntName {
		return dirEntry{}, nil, false
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size < direntName || size > len(b) {
		return dirEntry{}, nil, false
	}
	end := bytes.IndexByte(b[direntName:size], 0)
	if end < 0 {
		return dirEntry{}, nil, false
	}
	return dirEntry{binary.NativeEndian.Uint64(b), b[direntName : direntName+end+1]}, b[size:], true
}

// readlinkat is readlinkat(2) on a name that ends in NUL. x/sys/unix's own
// takes a string, and so allocates for each descriptor twice.
func readlinkat(dir int, name, buf []byte) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if !errors.Is(errno, unix.EINTR) {
			return 0, errno
		}
	}
}
