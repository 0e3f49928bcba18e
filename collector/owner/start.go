//go:build linux

package owner

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/procfs"
)

// Started returns when a process was started, to the second, by the wall
// clock (btime and starttime, proc(5)).
func (f *Finder) Started(pid int32) (time.Time, error) {
	fs, err := procfs.NewFS(f.proc)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	proc, err := fs.Proc(int(pid))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	seconds, err := stat.StartTime()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	return time.Unix(int64(math.Floor(seconds)), 0), nil
}
