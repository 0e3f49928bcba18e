//go:build linux

package container

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Cgroups tells the container of a cgroup by the id that the kernel has for it.
// It is for one caller at a time.
//
// What is found is kept: the kernel gives a cgroup's id to no other before it
// is booted again (kernfs counts to 2^64, __kernfs_new_node in fs/kernfs/dir.c),
// and a cgroup v2 cannot be renamed (only cgroup v1 has a rename operation).
type Cgroups struct {
	mount *os.File // a directory of the cgroup2 file system; nil if there is none
	point string   // where it is mounted
	known map[uint64]*cgroup
	round uint64
}

// cgroup is what is known of one.
type cgroup struct {
	container   model.Container
	inContainer bool
	asked       uint64 // the round in which it was asked for
}

// maxCgroups bounds how many are kept. Those above it are looked up each time.
const maxCgroups = 1 << 16

// fileidKernfs is FILEID_KERNFS of include/linux/exportfs.h: a file handle of
// this type is the 64-bit id of a kernfs node, Linux 5.5.
const fileidKernfs = 0xfe

// NewCgroups returns a Cgroups that looks at the cgroup2 file system of this
// host. Where none is mounted, it knows no container. The error is that of
// reading /proc/self/mountinfo.
func NewCgroups() (*Cgroups, error) {
	c := &Cgroups{known: make(map[uint64]*cgroup)}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for the cgroup2 file system: %w", err)
	}
	mounts := cgroup2Mounts(mountinfo)
	// A mount of all of it shows the path of every cgroup.
	slices.SortStableFunc(mounts, func(a, b mount) int { return strings.Compare(a.root, b.root) })
	for _, m := range mounts {
		if dir := openCgroup2(m.point); dir != nil {
			c.mount, c.point = dir, m.point
			break
		}
	}
	return c, nil
}

// openCgroup2 opens a directory, and returns nil unless it is on cgroup2:
// something else can be mounted above it.
func openCgroup2(path string) *os.File {
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil || stat.Type != unix.CGROUP2_SUPER_MAGIC {
		dir.Close()
		return nil
	}
	return dir
}

// Of returns the container of the cgroup with that id (INET_DIAG_CGROUP_ID).
// ok is false where it is in none, is gone or cannot be looked at; for the last
// see CheckPrivilege. Of an id that it knows it allocates nothing.
func (c *Cgroups) Of(id uint64) (container model.Container, ok bool) {
	if known, ok := c.known[id]; ok {
		known.asked = c.round
		return known.container, known.inContainer
	}
	if id == 0 || c.mount == nil {
		return model.Container{}, false
	}
	found := &cgroup{asked: c.round}
	path, err := c.path(id)
	switch {
	case err == nil:
		found.container, found.inContainer = Parse(path)
	case errors.Is(err, unix.ESTALE), errors.Is(err, unix.EPERM):
		// Gone for good, or not ours to look at.
	default:
		return model.Container{}, false // short of memory or descriptors: to be asked again
	}
	if len(c.known) < maxCgroups {
		c.known[id] = found
	}
	return found.container, found.inContainer
}

// path returns the path of a cgroup below the mount.
func (c *Cgroups) path(id uint64) (string, error) {
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(c.mount.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	path = strings.TrimSuffix(path, deleted) + "/"
	// One that is outside of what is mounted is told without the mount point.
	return strings.TrimPrefix(path, strings.TrimSuffix(c.point, "/")+"/"), nil
}

// Sweep ends a round: it forgets the cgroups that were not asked for since it
// was last called.
func (c *Cgroups) Sweep() {
	for id, known := range c.known {
		if known.asked != c.round {
			delete(c.known, id)
		}
	}
	c.round++
}

// Close gives the file system back. No other method may be called afterwards.
func (c *Cgroups) Close() error {
	if c.mount == nil {
		return nil
	}
	return c.mount.Close()
}
