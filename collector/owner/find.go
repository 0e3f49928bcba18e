//go:build linux

package owner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Finder finds the owners of sockets. It is for one caller at a time.
type Finder struct {
	proc    string
	dirents []byte
}

// NewFinder returns a Finder that reads the proc file system mounted at proc.
func NewFinder(proc string) *Finder {
	return &Finder{proc: proc, dirents: make([]byte, 32<<10)}
}

// Find looks for the processes that hold the sockets with the inode numbers in
// wanted. It appends each one that holds any to dst, and sets the inode's value
// in wanted, which the caller has set to model.NoOwner, to the process's index
// in dst. Of several owners the one with the lowest number counts, which among
// a parent and its workers is the parent as a rule.
//
// A process that leaves meanwhile, and one that this daemon may not look into,
// is passed over; CheckPrivilege tells of the second.
func (f *Finder) Find(ctx context.Context, wanted map[uint32]int32, dst []model.Owner) ([]model.Owner, error) {
	left := len(wanted)
	// The kernel lists processes by ascending number.
	dir, err := os.Open(f.proc)
	if err != nil {
		return dst, fmt.Errorf("list the processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return dst, fmt.Errorf("list the processes: %w", err)
	}
	for _, name := range names {
		if left == 0 {
			break
		}
		pid, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			continue // not a process
		}
		if err := context.Cause(ctx); err != nil {
			return dst, err
		}
		next := int32(len(dst))
		held, err := f.claim(name, wanted, next)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return dst, fmt.Errorf("read the descriptors of process %s: %w", name, err)
		}
		if held == 0 {
			continue
		}
		left -= held
		dst = append(dst, model.Owner{PID: int32(pid), Name: f.comm(name)})
	}
	return dst, nil
}

// passedOver reports whether err only means that the process is gone or is not
// ours to look into.
func passedOver(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// claim sets the inodes in wanted that process pid holds, and that nobody
// claimed before, to owner, and returns how many they were.
func (f *Finder) claim(pid string, wanted map[uint32]int32, owner int32) (int, error) {
	fd, err := unix.Open(filepath.Join(f.proc, pid, "fd"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	claimed := 0
	for {
		n, err := unix.Getdents(fd, f.dirents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return claimed, err
		}
		if n == 0 {
			return claimed, nil
		}
		claimed += claimEntries(fd, f.dirents[:n], wanted, owner)
	}
}

// claimEntries does so for one buffer of directory entries. The entries are
// read as they lie: os.ReadDir would allocate for every descriptor of the host.
func claimEntries(dir int, entries []byte, wanted map[uint32]int32, owner int32) int {
	claimed := 0
	var link [64]byte
	for len(entries) > 0 {
		name, rest, ok := nextDirent(entries)
		if !ok {
			return claimed
		}
		entries = rest
		if len(name) == 0 || name[0] == '.' {
			continue
		}
		n, err := readlinkat(dir, name, link[:])
		if err != nil {
			continue // closed meanwhile
		}
		inode, ok := socketInode(link[:n])
		if !ok {
			continue
		}
		if at, is := wanted[inode]; is && at == model.NoOwner {
			wanted[inode] = owner
			claimed++
		}
	}
	return claimed
}

// comm returns the name of a process, "" if it is gone.
func (f *Finder) comm(pid string) string {
	b, err := os.ReadFile(filepath.Join(f.proc, pid, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}

// socketInode reads the number out of "socket:[123]", the target of a socket's
// link in /proc/PID/fd.
func socketInode(link []byte) (uint32, bool) {
	digits, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok {
		return 0, false
	}
	digits, ok = bytes.CutSuffix(digits, []byte("]"))
	if !ok || len(digits) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > 1<<32-1 {
			return 0, false
		}
	}
	return uint32(n), true
}
