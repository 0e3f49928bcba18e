// Package owner tells which process holds a socket open, by walking
// /proc/PID/fd.
//
// It imports model and x/sys/unix.
package owner
