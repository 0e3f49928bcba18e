package container

import (
	"net/netip"
)

// List is what the engines know of their containers that run, or that ran when
// their engine was last heard of. It never changes, and nothing that is asked
// of it allocates.
type List struct {
	names     map[string]string
	addresses map[netip.Addr]string // "" where several containers have it
	published map[netip.AddrPort]target
}

// target is where a published port leads.
type target struct {
	id   string // "" where several containers publish it
	port uint16
}

// Name returns what the engine of the container with that id calls it.
func (l *List) Name(id string) (name string, ok bool) {
	name, ok = l.names[id]
	return name, ok
}

// At returns the id of the container that has an address in one of its
// networks. ok is false where none has it, and where several have it, as in
// networks that know nothing of each other.
func (l *List) At(addr netip.Addr) (id string, ok bool) {
	id = l.addresses[addr.Unmap()]
	return id, id != ""
}

// Published returns the id of the container that publishes a TCP port at an
// address of this host, and the port of the container that it leads to. A port
// that is published at 0.0.0.0 or :: is so at every address of the family.
//
// The engine says what it was told to publish, not who listens: a listener that
// an engine has nothing to do with can have the port while its engine is away.
func (l *List) Published(addr netip.Addr, port uint16) (id string, private uint16, ok bool) {
	addr = addr.Unmap().WithZone("")
	to, ok := l.published[netip.AddrPortFrom(addr, port)]
	if !ok && addr.IsValid() {
		to = l.published[netip.AddrPortFrom(unspecified(addr), port)]
	}
	return to.id, to.port, to.id != ""
}

// unspecified is 0.0.0.0 or ::, as the family of addr has it.
func unspecified(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// known is what an engine tells of one container.
type known struct {
	id, name  string
	addresses []netip.Addr
	ports     []publication
}

// publication is a TCP port that an engine publishes for a container.
type publication struct {
	at      netip.AddrPort
	private uint16
}

// newList joins what several engines tell. Of a container that two sockets tell
// of, as two paths to one engine do, the first counts.
func newList(engines ...[]known) *List {
	l := &List{
		names:     make(map[string]string),
		addresses: make(map[netip.Addr]string),
		published: make(map[netip.AddrPort]target),
	}
	for _, containers := range engines {
		for i := range containers {
			l.add(&containers[i])
		}
	}
	return l
}

func (l *List) add(c *known) {
	if _, again := l.names[c.id]; again || len(l.names) == maxContainers {
		return
	}
	l.names[c.id] = c.name
	for _, addr := range c.addresses {
		id := c.id
		if other, taken := l.addresses[addr]; taken && other != id {
			id = ""
		}
		l.addresses[addr] = id
	}
	for _, p := range c.ports {
		to := target{id: c.id, port: p.private}
		if other, taken := l.published[p.at]; taken && other != to {
			to.id = ""
		}
		l.published[p.at] = to
	}
}
