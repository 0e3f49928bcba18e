//go:build linux

package process

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/procfs"
)

// Started returns when a process was started, to the second, by the wall clock
// (btime and starttime, proc(5)). The error is an fs.ErrNotExist where there is
// no such process.
func (r *Reader) Started(pid int32) (time.Time, error) {
	seconds, err := r.started(pid)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	return time.Unix(int64(math.Floor(seconds)), 0), nil
}

// started returns it in seconds since 1970.
func (r *Reader) started(pid int32) (float64, error) {
	stat, err := r.stat(pid)
	if err != nil {
		return 0, err
	}
	return stat.StartTime()
}

// stat returns what /proc/PID/stat says.
func (r *Reader) stat(pid int32) (procfs.ProcStat, error) {
	fs, err := procfs.NewFS(r.proc)
	if err != nil {
		return procfs.ProcStat{}, err
	}
	proc, err := fs.Proc(int(pid))
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return proc.Stat()
}
