//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Clients have addresses 10.50.g.n, g by what they are and n from 1 on: all of 127.0.0.0/8 is one client to the daemon.
const (
	honestClients = 0
	endClients    = 1
	slowClients   = 2
	floodClients  = 3
)

func clientAddress(group, n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 50, group, n}) }

// addClientAddresses makes this host all of 10.50.0.0/16.
func addClientAddresses() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	err = netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
		Dst: &net.IPNet{IP: net.IPv4(10, 50, 0, 0), Mask: net.CIDRMask(16, 32)},
	})
	if err != nil {
		return fmt.Errorf("add the addresses of clients: %w", err)
	}
	return nil
}
