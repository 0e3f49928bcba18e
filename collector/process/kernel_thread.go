//go:build linux

package process

import "fmt"

// ofKernel is PF_KTHREAD of include/linux/sched.h.
const ofKernel = 0x00200000

// IsKernelThread reports whether a process is one of the kernel's own threads (the flags in /proc/PID/stat, proc(5)). The
// error is an fs.ErrNotExist where there is no such process.
func (r *Reader) IsKernelThread(pid int32) (bool, error) {
	stat, err := r.stat(pid)
	if err != nil {
		return false, fmt.Errorf("read the flags of process %d: %w", pid, err)
	}
	return stat.Flags&ofKernel != 0, nil
}
