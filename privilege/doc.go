//go:build linux

// Package privilege gives up what a process may do and does not need to: its
// user, capabilities, ways to gain others, files and system calls. Everything
// holds for all threads, those that there are and those that will be, and cannot
// be taken back.
//
// The functions are to be called in this order, each or not: NoNewPrivileges,
// RestrictFiles, Become or KeepOnly, Undumpable, FilterCalls. An earlier one
// needs what a later one takes.
//
// It imports capability, libcap (capabilities of all threads), go-landlock and
// go-seccomp-bpf.
package privilege
