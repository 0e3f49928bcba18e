// Package owner tells which process holds a socket open, by walking
// /proc/PID/fd.
//
// It imports model, capability, x/sys/unix and procfs.
package owner
