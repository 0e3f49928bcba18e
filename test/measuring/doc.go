//go:build linux

// Package measuring is what the programs that measure the built daemon have in common: the network namespace that they run
// in, the daemon that they build, the machine that they describe, and the tables that they print.
//
// It imports netlink and x/sys/unix. Only programs under test import it.
package measuring
