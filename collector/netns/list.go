//go:build linux

package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that can be entered.
type Namespace struct {
	// Inode names it as long as it exists.
	Inode uint32
	// Path is a file that leads to it, while the process or the name is there.
	Path string
	// Name is its name under RunDir, "" if it has none.
	Name string
}

// RunDir is where ip-netns(8) and its like keep the names of namespaces.
const RunDir = "/run/netns"

// List returns the network namespaces that have a name in run, one for each name
// in the order of the names, and then those that have but a process in the proc
// file system mounted at proc, each once. A namespace that this process may not
// look at is left out; CheckPrivilege tells of it.
func List(proc, run string) (list []Namespace, err error) {
	seen := make(map[uint32]bool)
	add := func(path, name string) error {
		var stat unix.Stat_t
		if err := unix.Stat(path, &stat); err != nil {
			return err
		}
		if inode := uint32(stat.Ino); name != "" || !seen[inode] {
			seen[inode] = true
			list = append(list, Namespace{Inode: inode, Path: path, Name: name})
		}
		return nil
	}
	names, err := readNames(run)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the named network namespaces: %w", err)
	}
	slices.Sort(names) // of a namespace that has several the first is told, each time the same
	for _, name := range names {
		path := filepath.Join(run, name)
		// A name whose namespace is gone, or is not mounted yet, is an ordinary file.
		if !isNamespace(path) {
			continue
		}
		if err := add(path, name); err != nil && !gone(err) {
			return nil, fmt.Errorf("look at the network namespace %s: %w", path, err)
		}
	}
	processes, err := readNames(proc)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	for _, process := range processes {
		if _, err := strconv.ParseUint(process, 10, 31); err != nil {
			continue
		}
		switch err := add(filepath.Join(proc, process, "ns", "net"), ""); {
		case err == nil, gone(err), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		default:
			return nil, fmt.Errorf("look at the network namespace of process %s: %w", process, err)
		}
	}
	return list, nil
}

// gone reports whether err means that a process or a name has left.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// isNamespace reports whether path is on nsfs.
func isNamespace(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}
