package container

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/connectionsd/connectionsd/model"
)

// maxCgroupFile bounds what is read of /proc/PID/cgroup: more than a dozen
// hierarchies with the longest paths that there can be.
const maxCgroupFile = 64 << 10

// OfProcess returns the container that a process is in, by the cgroup file of
// the proc file system mounted at proc. ok is false where it is in none.
//
// The error wraps os.ErrNotExist or ESRCH where the process is gone.
func OfProcess(proc string, pid int32) (c model.Container, ok bool, err error) {
	f, err := os.Open(filepath.Join(proc, strconv.Itoa(int(pid)), "cgroup"))
	if err != nil {
		return c, false, fmt.Errorf("read the cgroup of process %d: %w", pid, err)
	}
	defer f.Close()
	file := bytes.NewBuffer(make([]byte, 0, 2048))
	if _, err := file.ReadFrom(io.LimitReader(f, maxCgroupFile)); err != nil {
		return c, false, fmt.Errorf("read the cgroup of process %d: %w", pid, err)
	}
	c, ok = ofCgroupFile(file.Bytes())
	return c, ok, nil
}

// ofCgroupFile reads a cgroup file, whose lines are HIERARCHY:CONTROLLERS:PATH
// (cgroups(7)). The unified hierarchy, number 0, is asked first: it is the one
// that a process has a single place in. On a host that still keeps its
// containers in cgroup v1 it may tell nothing; then the first that does counts.
func ofCgroupFile(file []byte) (first model.Container, ok bool) {
	for line := range bytes.Lines(file) {
		line, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole {
			break // cut off
		}
		hierarchy, rest, _ := bytes.Cut(line, []byte(":"))
		_, path, wellFormed := bytes.Cut(rest, []byte(":"))
		unified := string(hierarchy) == "0"
		if !wellFormed || ok && !unified {
			continue
		}
		// A process that has ended and was not waited for outlives its cgroup.
		if c, told := Parse(strings.TrimSuffix(string(path), deleted)); told {
			if unified {
				return c, true
			}
			first, ok = c, true
		}
	}
	return first, ok
}
