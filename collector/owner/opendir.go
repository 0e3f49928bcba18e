//go:build linux

package owner

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// openDir is the directory of a process's descriptors, if one is open. It stays
// that process's, whoever gets the number.
type openDir struct {
	fd  int   // -1 if none is open
	pid int32 // whose it is, or was to be, -1 if nobody's
}

// noDir is an openDir where none is open.
func noDir() openDir { return openDir{fd: -1, pid: -1} }

// open opens that of a process, in place of the last, and tells which process
// it is and how many descriptors it has: the size of the directory, since Linux
// 6.2 (proc_readfd_count in fs/proc/fd.c).
func (d *openDir) open(proc string, pid int32) (process, error) {
	d.close()
	d.pid = pid
	fd, err := unix.Open(descriptorsOf(proc, pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return process{pid: pid}, err
	}
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		unix.Close(fd)
		return process{pid: pid}, err
	}
	d.fd = fd
	return processOf(pid, &is), nil
}

// stat tells what open does of a process, and opens nothing.
func stat(proc string, pid int32) (process, error) {
	var is unix.Stat_t
	if err := unix.Stat(descriptorsOf(proc, pid), &is); err != nil {
		return process{pid: pid}, err
	}
	return processOf(pid, &is), nil
}

func processOf(pid int32, is *unix.Stat_t) process {
	return process{
		pid: pid, open: is.Size,
		born: birth{inode: is.Ino, sec: int64(is.Ctim.Sec), nsec: int64(is.Ctim.Nsec)},
	}
}

// descriptorsOf is the directory of a process's descriptors.
func descriptorsOf(proc string, pid int32) string {
	return proc + "/" + strconv.Itoa(int(pid)) + "/fd"
}

func (d *openDir) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
	*d = noDir()
}
