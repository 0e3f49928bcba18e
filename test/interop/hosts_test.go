//go:build linux && interop

package interop_test

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addHosts gives the loopback interface the addresses of the tests' hosts: of
// each kind that monerod tells apart, private, public and link-local. A
// connection to one of them comes from the same address.
var addHosts = sync.OnceValue(func() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	for _, address := range []string{
		"10.1.0.2/32", "172.16.0.1/32", "192.168.1.1/32", "198.51.100.1/32",
		"2001:db8::1/128", "fd00::2/128", "fe80::1/64",
	} {
		addr, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD // so that IPv6 addresses can be used at once
		if err := netlink.AddrAdd(lo, addr); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add %s to the loopback interface: %w", address, err)
		}
	}
	return nil
})

func hosts(t *testing.T) {
	t.Helper()
	if err := addHosts(); err != nil {
		t.Fatal(err)
	}
}
