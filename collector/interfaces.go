//go:build linux

package collector

import (
	"maps"
	"net/netip"

	"github.com/connectionsd/connectionsd/collector/link"
	"github.com/connectionsd/connectionsd/model"
)

// joinInterfaces looks up the names of the interfaces that sockets are told
// with: those of link-local addresses and, where listeners is set, those that
// listeners are bound to, and which interface has which address: for the daemon's
// own namespace ahead may tell that, unless it is nil. What cannot be found is left
// out.
func (c *Collector) joinInterfaces(snap *model.Snapshot, listeners bool, ahead *model.Snapshot) {
	clear(snap.Bound)
	snap.Zones = maps.Clone(snap.Zones) // who follows the dump may have it still
	if listeners {
		c.joinAddresses(snap, ahead)
	}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		listens := listeners && s.State == model.Listen
		if s.NeedsZone() || listens && s.Interface != 0 {
			c.joinZone(snap, model.Interface{NetNS: s.NetNS, Index: s.Interface})
		}
		if listens && boundToOne(s) {
			if index, ok := snap.Bound[model.Address{NetNS: s.NetNS, IP: s.LocalIP}]; ok {
				c.joinZone(snap, model.Interface{NetNS: s.NetNS, Index: index})
			}
		}
	}
}

// joinAddresses looks up the addresses of the namespaces that were dumped.
func (c *Collector) joinAddresses(snap, ahead *model.Snapshot) {
	known := ahead != nil && len(ahead.Bound) > 0
	if known {
		snap.Bound = ahead.Bound
	}
	for _, netns := range c.namespaces.dumped {
		if links := c.namespaces.links(netns); links != nil && !(known && netns == c.options.Self) {
			addAddresses(snap, netns, links)
		}
	}
}

// addAddresses adds those of a namespace. Where it fails the addresses of sockets
// have to do.
func addAddresses(snap *model.Snapshot, netns uint32, links *link.Links) {
	if snap.Bound == nil {
		snap.Bound = make(map[model.Address]uint32)
	}
	_ = links.Addresses(func(ip [16]byte, index uint32) { snap.Bound[model.Address{NetNS: netns, IP: ip}] = index })
}

// boundToOne reports whether a listener is bound to an address that one of the
// interfaces has.
func boundToOne(s *model.Socket) bool {
	ip := netip.AddrFrom16(s.LocalIP).Unmap()
	return !ip.IsUnspecified() && !ip.IsLoopback() && s.Interface == 0
}

// joinZone looks up the name of an interface, once.
func (c *Collector) joinZone(snap *model.Snapshot, at model.Interface) {
	if _, known := snap.Zones[at]; known {
		return
	}
	name := "" // gone by now: the index has to do, and it is not asked for again for each socket
	if links := c.namespaces.links(at.NetNS); links != nil {
		name, _ = links.Name(at.Index)
	}
	if snap.Zones == nil {
		snap.Zones = make(map[model.Interface]string)
	}
	snap.Zones[at] = name
}
