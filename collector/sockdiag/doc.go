// Package sockdiag dumps the TCP sockets of a network namespace, as the
// kernel's sock_diag netlink interface tells them.
//
// It says what the kernel said: each message becomes one [model.Socket], in
// the kernel's units, and nothing is concluded from it. A dump is whole or it
// is an error: what cannot be understood is never left out in silence.
//
// It imports model, the nl layer of vishvananda/netlink and x/sys/unix.
// Package sockdiagtest stands in for the kernel at the level of [Conn].
package sockdiag
