//go:build linux

package process

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// ofKernel is PF_KTHREAD of include/linux/sched.h.
const ofKernel = 0x00200000

// IsKernelThread reports whether a process is one of the kernel's own threads (the flags in /proc/PID/stat, proc(5)). The
// error is an fs.ErrNotExist where there is no such process.
func (r *Reader) IsKernelThread(pid int32) (bool, error) {
	flags, err := r.flags(pid)
	if err != nil {
		return false, fmt.Errorf("read the flags of process %d: %w", pid, err)
	}
	return flags&ofKernel != 0, nil
}

func (r *Reader) flags(pid int32) (uint, error) {
	fs, err := procfs.NewFS(r.proc)
	if err != nil {
		return 0, err
	}
	proc, err := fs.Proc(int(pid))
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0, err
	}
	return stat.Flags, nil
}
