// Package process tells what the proc file system says of one process: its
// name, its command line, when it was started and whether it is a thread of the
// kernel. It knows how a command line may be shown to people who must not read
// the passwords in it.
//
// It imports nothing of the project, x/sys/unix and procfs.
package process
