//go:build linux

package owner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Finder finds the owners of sockets. It is for one caller at a time.
type Finder struct {
	proc     string
	getdents func(fd int, buf []byte) (int, error) // unix.Getdents, or a test's own
	dirents  []byte
	pids     []int32
}

// NewFinder returns a Finder that reads the proc file system mounted at proc.
func NewFinder(proc string) *Finder {
	return &Finder{proc: proc, getdents: unix.Getdents, dirents: make([]byte, 32<<10)}
}

// Find looks for the processes that hold the sockets with the inode numbers in
// wanted. It appends each one that holds any to dst, and sets the inode's value
// in wanted, which the caller has set to model.NoOwner, to the process's index
// in dst. Of several owners the one with the lowest number counts, which among
// a parent and its workers is the parent as a rule. Of the inodes in all, which
// are in wanted too, every further owner is appended to shared.
//
// A process that leaves meanwhile, and one that this daemon may not look into,
// is passed over; CheckPrivilege tells of the second.
func (f *Finder) Find(ctx context.Context, wanted map[uint32]int32, all map[uint32]struct{}, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	s := search{wanted: wanted, all: all, left: len(wanted), shared: shared}
	if s.left == 0 {
		return dst, shared, nil
	}
	if err := f.list(); err != nil {
		return dst, shared, fmt.Errorf("list the processes: %w", err)
	}
	for _, pid := range f.pids {
		if s.left == 0 && len(all) == 0 {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return dst, s.shared, err
		}
		name := strconv.Itoa(int(pid))
		s.owner, s.held = int32(len(dst)), false
		// A process that leaves half way still held what it was seen to hold.
		if err := f.claim(name, &s); err != nil && !passedOver(err) {
			return dst, s.shared, fmt.Errorf("read the descriptors of process %s: %w", name, err)
		}
		if s.held {
			dst = append(dst, model.Owner{PID: pid, Name: f.comm(name)})
		}
	}
	return dst, s.shared, nil
}

// search is one walk of the processes.
type search struct {
	wanted map[uint32]int32
	all    map[uint32]struct{}
	left   int // inodes in wanted without an owner
	shared []model.SharedListener

	owner int32 // the index that the process under way will have
	held  bool  // whether it holds anything that is wanted
}

// claim notes that the process under way holds a socket.
func (s *search) claim(inode uint32) {
	first, wanted := s.wanted[inode]
	if !wanted || first == s.owner {
		return
	}
	if first == model.NoOwner {
		s.wanted[inode] = s.owner
		s.left--
		s.held = true
		return
	}
	further := model.SharedListener{Inode: inode, Owner: s.owner}
	if _, all := s.all[inode]; all && !slices.Contains(s.shared, further) {
		s.shared = append(s.shared, further)
		s.held = true
	}
}

// list sets pids to the processes that there are, by ascending number.
func (f *Finder) list() error {
	dir, err := os.Open(f.proc)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	f.pids = f.pids[:0]
	for _, name := range names {
		if pid, err := strconv.ParseUint(name, 10, 31); err == nil { // else not a process
			f.pids = append(f.pids, int32(pid))
		}
	}
	slices.Sort(f.pids)
	return nil
}

// passedOver reports whether err only means that the process is gone or is not
// ours to look into.
func passedOver(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// claim lets s claim the sockets that process pid holds.
func (f *Finder) claim(pid string, s *search) error {
	fd, err := unix.Open(filepath.Join(f.proc, pid, "fd"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := f.getdents(fd, f.dirents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		claimEntries(fd, f.dirents[:n], s)
	}
}

// claimEntries does so for one buffer of directory entries. The entries are
// read as they lie: os.ReadDir would allocate for every descriptor of the host.
func claimEntries(dir int, entries []byte, s *search) {
	var link [64]byte
	for len(entries) > 0 {
		name, rest, ok := nextDirent(entries)
		if !ok {
			return
		}
		entries = rest
		if name[0] == '.' {
			continue
		}
		n, err := readlinkat(dir, name, link[:])
		if err != nil || n == len(link) {
			continue // closed meanwhile, or cut off and so longer than a socket's
		}
		if inode, ok := socketInode(link[:n]); ok {
			s.claim(inode)
		}
	}
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
