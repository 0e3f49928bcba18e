// Package taskfile asks the kernel, by a BPF program that is run for each open
// file of each task, which process holds which TCP socket.
//
// It imports cilium/ebpf and x/sys/unix.
package taskfile

// The object files are checked in, so that only who changes the program needs
// clang and llvm-strip.
//go:generate go tool -modfile=../../../tools/go.mod bpf2go -cc clang-14 -strip llvm-strip-14 -go-package taskfile -tags linux -no-global-types tcp tcp.bpf.c -- -O2 -Wall -Wextra -Werror
