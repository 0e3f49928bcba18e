//go:build linux

package privilege

import (
	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// Calls are the system calls that a process makes beside those of every server.
type Calls struct {
	// EnterNetNS: it enters network namespaces (setns).
	EnterNetNS bool
	// BPFIterators: it makes and opens iterators of the BPF programs that it has
	// loaded.
	BPFIterators bool
	// OpenByHandle: it opens files by their handles.
	OpenByHandle bool
	// Connect: it connects to other hosts.
	Connect bool
	// ConnectUnix: it connects to unix sockets.
	ConnectUnix bool
	// Profile: it measures where its threads spend their time.
	Profile bool
	// Remove: it removes files.
	Remove bool
}

// always are the calls that every server makes, whatever their arguments: those
// of Go's runtime, of reading files and directories, and of connections that it
// accepts. Those that only some architectures have are left out elsewhere.
func always() []string {
	return []string{
		// What is called most comes first: the kernel may have to compare them all.
		"read", "write", "recvfrom", "readlinkat", "futex", "epoll_pwait", "nanosleep", "close",
		"sendto", "sendmsg", "recvmsg", "readv", "writev", "poll", "ppoll", "fstat", "newfstatat", "fstatat", "getdents64", "pread64", "lseek",
		"fcntl", "epoll_ctl", "epoll_create1", "eventfd2", "pipe2", "statfs", "fstatfs",
		"accept4", "bind", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
		"munmap", "madvise", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
		"sched_yield", "sched_getaffinity", "clock_gettime", "gettimeofday", "getrandom", "uname",
		"getpid", "gettid", "getuid", "geteuid", "getgid", "getegid",
		"exit", "exit_group",
	}
}

// profiling are the calls by which Go's runtime has its threads interrupted each so much time that they run.
func profiling() []string {
	return []string{"setitimer", "timer_create", "timer_settime", "timer_delete"}
}

// named are the calls that are allowed whatever their arguments.
func named(calls Calls) []string {
	names := always()
	if calls.Profile {
		names = append(names, profiling()...)
	}
	if calls.Connect || calls.ConnectUnix {
		names = append(names, "connect")
	}
	return names
}

// newNamespaces are the flags of clone(2) that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// sometimes are the calls that are allowed with some arguments only. pid is this
// process.
func sometimes(calls Calls, pid int) []seccomp.NameWithConditions {
	call := func(name string, conditions ...seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: conditions}
	}
	is := func(argument uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.Equal, Value: value}
	}
	has := func(argument uint32, bits uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.BitsSet, Value: bits}
	}
	hasNot := func(argument uint32, bits uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.BitsNotSet, Value: bits}
	}
	allowed := []seccomp.NameWithConditions{
		call("openat", hasNot(2, unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC)), // to read
		call("mmap", hasNot(2, unix.PROT_EXEC)),
		call("mprotect", hasNot(2, unix.PROT_EXEC)),
		call("clone", has(0, unix.CLONE_THREAD), hasNot(0, newNamespaces)), // a thread, no process
		call("socket", is(0, unix.AF_NETLINK)),
		call("tgkill", is(0, uint64(pid))), // how the runtime interrupts its threads
		call("prctl", is(0, unix.PR_SET_VMA)),
	}
	if calls.EnterNetNS {
		allowed = append(allowed, call("setns", is(1, unix.CLONE_NEWNET)))
	}
	if calls.BPFIterators {
		allowed = append(allowed, call("bpf", is(0, unix.BPF_ITER_CREATE)), call("bpf", is(0, unix.BPF_LINK_CREATE)))
	}
	if calls.OpenByHandle {
		allowed = append(allowed, call("open_by_handle_at", hasNot(2, unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC)))
	}
	if calls.Connect {
		allowed = append(allowed, call("socket", is(0, unix.AF_INET)), call("socket", is(0, unix.AF_INET6)))
	}
	if calls.ConnectUnix {
		allowed = append(allowed, call("socket", is(0, unix.AF_UNIX)))
	}
	if calls.Remove {
		allowed = append(allowed, call("unlinkat", is(2, 0))) // no directory
	}
	return allowed
}
