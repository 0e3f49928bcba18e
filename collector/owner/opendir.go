//go:build linux

package owner

import (
	"path/filepath"
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
	p := process{pid: pid}
	fd, err := unix.Open(filepath.Join(proc, strconv.Itoa(int(pid)), "fd"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		unix.Close(fd)
		return p, err
	}
	d.fd = fd
	p.born = birth{inode: stat.Ino, sec: int64(stat.Ctim.Sec), nsec: int64(stat.Ctim.Nsec)}
	p.open = stat.Size
	return p, nil
}

func (d *openDir) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
	*d = noDir()
}
