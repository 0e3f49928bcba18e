// Package owner tells which process holds a socket open. It has two ways to
// find out, which give the same answers: an [Iterator] has the kernel list the
// sockets of every process by a BPF program, and a [Finder] walks /proc/PID/fd
// and remembers what it read there. The first is the cheaper by far and takes
// more privilege.
//
// It imports model, capability, process, its own taskfile and x/sys/unix.
package owner
