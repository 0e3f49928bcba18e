//go:build linux

package privilege

import (
	"errors"
	"fmt"
	"os"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// ErrCgo is the reason where the program is not Go's alone: a C library makes
// system calls of its own, and takes it for fatal where it may not.
var ErrCgo = errors.New("this program was built with cgo: build it with CGO_ENABLED=0")

// FilterCalls makes the kernel refuse (EPERM) every system call that this
// process has no need of; those that it needs are a list and all others are
// not, so that a call that some later kernel has is refused without anybody
// knowing of it. In particular it can then execute no program, make no process,
// write to no file that is not open, open no socket that reaches another host
// or, unless it has to, another process, and make no memory executable. Where it
// may connect, it can turn a connection that it has accepted into one to
// elsewhere (AF_UNSPEC of connect(2)): a filter does not see addresses.
//
// The error is ErrCgo, or says why the kernel has no filter or none for this
// architecture.
func FilterCalls(calls Calls) error {
	if isCgo {
		return ErrCgo
	}
	names, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	filter := seccomp.Filter{NoNewPrivs: true, Policy: policy(calls, os.Getpid(), names)}
	// With TSYNC_ESRCH a thread that cannot be made to follow is an error; without, it is a return value that goes unseen.
	for _, flags := range []seccomp.FilterFlag{seccomp.FilterFlagTSync | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, seccomp.FilterFlagTSync} {
		filter.Flag = flags
		if err = seccomp.LoadFilter(filter); !errors.Is(err, unix.EINVAL) { // which Linux 5.6 and earlier say of the first
			break
		}
	}
	if err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}

// policy is the filter for an architecture.
func policy(calls Calls, pid int, known *arch.Info) seccomp.Policy {
	has := func(call string) bool { _, ok := known.SyscallNames[call]; return ok }
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{{
			Action:             seccomp.ActionAllow,
			Names:              slices.DeleteFunc(named(calls), func(call string) bool { return !has(call) }),
			NamesWithCondtions: sometimes(calls, pid),
		}},
	}
}
