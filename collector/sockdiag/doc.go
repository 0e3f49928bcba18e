// Package sockdiag dumps the TCP sockets of a network namespace, as the
// kernel's sock_diag netlink interface tells them.
//
// It says what the kernel said: each message becomes one [model.Socket], in
// the kernel's units, and nothing is concluded from it. What cannot be
// understood is an error, never left out in silence. What the kernel leaves out
// cannot be seen: where sockets of one hash bucket come and go while it is
// dumped, inet_diag can pass a living one over without a word.
//
// It imports model, the nl layer of vishvananda/netlink and x/sys/unix.
// Package sockdiagtest stands in for the kernel at the level of [Conn].
package sockdiag
