//go:build linux

package privilege

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Of the calls that are listed some have another name, or none, on the other architecture, and no other is unknown.
func TestCallsAreKnown(t *testing.T) {
	for _, test := range []struct {
		arch    *arch.Info
		unknown []string
	}{
		{arch.X86_64, []string{"fstatat"}},
		{arch.AARCH64, []string{"poll", "newfstatat"}},
	} {
		var unknown []string
		all := Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true, Connect: true, ConnectUnix: true, Profile: true, Remove: true}
		names := named(all)
		for _, call := range sometimes(all, 1) {
			names = append(names, call.Name)
		}
		for _, name := range names {
			if _, ok := test.arch.SyscallNames[name]; !ok {
				unknown = append(unknown, name)
			}
		}
		if diff := cmp.Diff(test.unknown, unknown); diff != "" {
			t.Errorf("%s: unknown calls (-want +got):\n%s", test.arch.Name, diff)
		}
		for _, name := range policy(Calls{}, 1, test.arch).Syscalls[0].Names {
			if slices.Contains(test.unknown, name) {
				t.Errorf("%s: %s is in the filter", test.arch.Name, name)
			}
		}
	}
}

// verdict runs the filter as the kernel does, for a call of this architecture.
func verdict(t *testing.T, calls Calls, name string, arguments ...uint64) seccomp.Action {
	t.Helper()
	info, err := arch.GetInfo("")
	if err != nil {
		t.Skipf("there is no filter for this architecture: %v", err)
	}
	number, ok := info.SyscallNames[name]
	if !ok {
		t.Fatalf("%s has no call %s", info.Name, name)
	}
	p := policy(calls, 77, info)
	program, err := p.Assemble()
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	// struct seccomp_data: number, architecture, instruction pointer, arguments. The machine of x/net reads words as the
	// network has them, so they are written like this; the halves of an argument stand as in memory, the lower one first.
	data := binary.BigEndian.AppendUint32(nil, uint32(number))
	data = binary.BigEndian.AppendUint32(data, uint32(info.ID))
	data = append(data, make([]byte, 8)...)
	for i := range 6 {
		var argument uint64
		if i < len(arguments) {
			argument = arguments[i]
		}
		data = binary.BigEndian.AppendUint32(data, uint32(argument))
		data = binary.BigEndian.AppendUint32(data, uint32(argument>>32))
	}
	result, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return seccomp.Action(result)
}

func TestPolicy(t *testing.T) {
	const (
		allow = seccomp.ActionAllow
		deny  = seccomp.ActionErrno | seccomp.Action(unix.EPERM)
	)
	here := uint64(1<<64 - 100) // AT_FDCWD
	work := Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true, ConnectUnix: true, Remove: true}
	thread := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD)
	for _, test := range []struct {
		calls     Calls
		name      string
		arguments []uint64
		want      seccomp.Action
	}{
		{Calls{}, "read", nil, allow},
		{Calls{}, "futex", nil, allow},
		{Calls{}, "exit_group", nil, allow},
		{Calls{}, "accept4", nil, allow},
		{Calls{}, "rt_sigreturn", nil, allow},

		{work, "timer_create", nil, deny},
		{work, "setitimer", nil, deny},
		{Calls{Profile: true}, "timer_create", nil, allow},
		{Calls{}, "connect", nil, deny},
		{Calls{ConnectUnix: true}, "connect", nil, allow},
		{Calls{Connect: true}, "connect", nil, allow},
		{Calls{Connect: true}, "socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, deny},
		{Calls{Connect: true}, "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, allow},
		{Calls{Connect: true}, "socket", []uint64{unix.AF_INET6, unix.SOCK_STREAM}, allow},
		{Calls{Connect: true}, "socket", []uint64{unix.AF_PACKET, unix.SOCK_RAW}, deny},
		{Calls{Profile: true}, "timer_settime", nil, allow},
		{Calls{Profile: true}, "timer_delete", nil, allow},
		{Calls{Profile: true}, "setitimer", nil, allow},

		{work, "execve", nil, deny},
		{work, "execveat", nil, deny},
		{work, "ptrace", nil, deny},
		{work, "process_vm_readv", nil, deny},
		{work, "mount", nil, deny},
		{work, "unshare", nil, deny},
		{work, "kill", []uint64{77}, deny},
		{work, "ioctl", nil, deny},
		{work, "io_uring_setup", nil, deny},
		{work, "init_module", nil, deny},
		{work, "clone3", nil, deny},
		{work, "listen", nil, deny},
		{work, "capset", nil, deny},
		{work, "setuid", nil, deny},

		{work, "openat", []uint64{here, 1, unix.O_RDONLY | unix.O_CLOEXEC | unix.O_DIRECTORY}, allow},
		{work, "openat", []uint64{here, 1, unix.O_WRONLY}, deny},
		{work, "openat", []uint64{here, 1, unix.O_RDWR}, deny},
		{work, "openat", []uint64{here, 1, unix.O_CREAT}, deny},
		{work, "openat", []uint64{here, 1, unix.O_TRUNC}, deny},
		{work, "openat", []uint64{here, 1, unix.O_TMPFILE | unix.O_RDWR}, deny},
		{work, "mmap", []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE}, allow},
		{work, "mmap", []uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, deny},
		{work, "mprotect", []uint64{0, 4096, unix.PROT_READ}, allow},
		{work, "mprotect", []uint64{0, 4096, unix.PROT_EXEC}, deny},
		{work, "clone", []uint64{thread}, allow},
		{work, "clone", []uint64{thread | unix.CLONE_SETTLS}, allow},
		{work, "clone", []uint64{thread | unix.CLONE_NEWNET}, deny},
		{work, "clone", []uint64{thread | unix.CLONE_NEWUSER}, deny},
		{work, "clone", []uint64{uint64(unix.SIGCHLD)}, deny},
		{work, "clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK}, deny},
		{work, "socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_INET_DIAG}, allow},
		{work, "socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow},
		{Calls{}, "socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_INET_DIAG}, allow},
		{Calls{}, "socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, deny},
		{work, "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, deny},
		{work, "socket", []uint64{unix.AF_INET6, unix.SOCK_DGRAM}, deny},
		{work, "socket", []uint64{unix.AF_PACKET, unix.SOCK_RAW}, deny},
		{work, "socket", []uint64{1<<32 | unix.AF_UNIX}, deny},
		{work, "tgkill", []uint64{77, 78, uint64(unix.SIGURG)}, allow},
		{work, "tgkill", []uint64{76, 76, uint64(unix.SIGKILL)}, deny},
		{work, "prctl", []uint64{unix.PR_SET_VMA}, allow},
		{work, "prctl", []uint64{unix.PR_SET_DUMPABLE, 1}, deny},

		{work, "setns", []uint64{5, unix.CLONE_NEWNET}, allow},
		{work, "setns", []uint64{5, 0}, deny},
		{work, "setns", []uint64{5, unix.CLONE_NEWNS}, deny},
		{work, "setns", []uint64{5, unix.CLONE_NEWNET | unix.CLONE_NEWNS}, deny},
		{Calls{}, "setns", []uint64{5, unix.CLONE_NEWNET}, deny},
		{work, "bpf", []uint64{unix.BPF_ITER_CREATE}, allow},
		{work, "bpf", []uint64{unix.BPF_LINK_CREATE}, allow},
		{work, "bpf", []uint64{unix.BPF_PROG_LOAD}, deny},
		{work, "bpf", []uint64{unix.BPF_PROG_GET_FD_BY_ID}, deny},
		{work, "bpf", []uint64{unix.BPF_MAP_CREATE}, deny},
		{Calls{}, "bpf", []uint64{unix.BPF_ITER_CREATE}, deny},
		{work, "open_by_handle_at", []uint64{5, 1, unix.O_PATH | unix.O_CLOEXEC}, allow},
		{work, "open_by_handle_at", []uint64{5, 1, unix.O_RDWR}, deny},
		{Calls{}, "open_by_handle_at", []uint64{5, 1, unix.O_PATH}, deny},
		{work, "unlinkat", []uint64{here, 1, 0}, allow},
		{work, "unlinkat", []uint64{here, 1, unix.AT_REMOVEDIR}, deny},
		{Calls{}, "unlinkat", []uint64{here, 1, 0}, deny},
	} {
		if got := verdict(t, test.calls, test.name, test.arguments...); got != test.want {
			t.Errorf("%+v: %s(%x): %x, want %x", test.calls, test.name, test.arguments, uint32(got), uint32(test.want))
		}
	}
}

func callsChild() (any, error) {
	errs := make(map[string]string)
	note := func(what string, err error) {
		if err == nil {
			errs[what] = "allowed"
		} else {
			errs[what] = err.Error()
		}
	}
	status, err := threads(func() error {
		note("filter", FilterCalls(Calls{}))
		if isCgo {
			return nil
		}
		file, err := os.Open("/proc/self/stat")
		if err == nil {
			file.Close()
		}
		note("read a file", err)
		_, err = os.OpenFile("/dev/null", os.O_WRONLY, 0)
		note("write to a file", errors.Unwrap(err))
		_, err = os.StartProcess("/proc/self/exe", nil, &os.ProcAttr{})
		note("execute a program", errors.Unwrap(err))
		_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		note("open a TCP socket", err)
		_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		note("open a unix socket", err)
		note("signal its parent", unix.Kill(os.Getppid(), 0))
		return nil
	})
	for _, field := range []string{"NoNewPrivs", "Seccomp"} {
		errs[field] = ""
		if len(status[field]) == 1 {
			errs[field] = status[field][0]
		}
	}
	return errs, err
}

// A program that is Go's alone is filtered in all its threads. One with C code in it, such as this test under the race
// detector, is not.
func TestFilterCalls(t *testing.T) {
	var got map[string]string
	child(t, "calls", &got)
	const denied = "operation not permitted"
	want := map[string]string{
		"filter": "allowed", "NoNewPrivs": "1", "Seccomp": "2", "read a file": "allowed", "write to a file": denied,
		"execute a program": denied, "open a TCP socket": denied, "open a unix socket": denied, "signal its parent": denied,
	}
	if isCgo {
		want = map[string]string{"filter": ErrCgo.Error(), "NoNewPrivs": got["NoNewPrivs"], "Seccomp": got["Seccomp"]}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
