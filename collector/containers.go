//go:build linux

package collector

import (
	"net/netip"

	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/model"
)

// containers joins the containers of a snapshot. It is for one caller at a
// time, and kept for its memory.
type containers struct {
	proc    string
	cgroups *container.Cgroups
	// names are the engines', as they are at the time of the call.
	names func() *container.List
	// arguments are those of a process.
	arguments func(pid int32) []string

	// snap is the snapshot under way, and the others are indexes into its
	// Containers by id and by cgroup.
	snap     *model.Snapshot
	byID     map[string]int32
	byCgroup map[uint64]int32
}

func newContainers(proc string, cgroups *container.Cgroups, names func() *container.List, arguments func(int32) []string) *containers {
	return &containers{
		proc: proc, cgroups: cgroups, names: names, arguments: arguments,
		byID: make(map[string]int32), byCgroup: make(map[uint64]int32),
	}
}

func (c *containers) close() {
	if c.cgroups != nil {
		_ = c.cgroups.Close() // a directory that was only read
	}
}

// join sets the Container of every owner that can be told and of every socket: that
// of the cgroup which the socket was made in, and that of its owner where this tells
// of none, as with a socket that was handed into a container.
func (c *containers) join(snap *model.Snapshot, told *toldOwners) {
	c.snap = snap
	clear(c.byID)
	clear(c.byCgroup)
	names := c.names()
	for i := range snap.Owners {
		owner := &snap.Owners[i]
		owner.Container = model.NoContainer
		if !told.has(int32(i)) {
			continue
		}
		// One that has left, or may not be read, is in none that is known.
		if found, ok, err := container.OfProcess(c.proc, owner.PID); err == nil && ok {
			owner.Container = c.add(found)
		}
	}
	c.joinForwarders(names)
	for i := range snap.Sockets {
		known := &snap.Known[i]
		if known.ForwardsTo != 0 {
			continue
		}
		known.Container = c.ofCgroup(snap.Sockets[i].CgroupID)
		if owner := snap.Owner(i); owner != nil && known.Container == model.NoContainer {
			known.Container = owner.Container
		}
	}
	for i := range snap.Containers {
		at := &snap.Containers[i]
		at.Name, _ = names.Name(at.ID)
	}
	c.cgroups.Sweep()
	c.snap = nil
}

// add returns the index of a container.
func (c *containers) add(found model.Container) int32 {
	if at, ok := c.byID[found.ID]; ok {
		return at
	}
	at := int32(len(c.snap.Containers))
	c.snap.Containers = append(c.snap.Containers, found)
	c.byID[found.ID] = at
	return at
}

// ofCgroup returns the index of the container of a cgroup.
func (c *containers) ofCgroup(id uint64) int32 {
	if id == 0 {
		return model.NoContainer
	}
	at, ok := c.byCgroup[id]
	if !ok {
		at = model.NoContainer
		if found, ok := c.cgroups.Of(id); ok {
			at = c.add(found)
		}
		c.byCgroup[id] = at
	}
	return at
}

// joinForwarders finds the containers that listeners on the host only pass
// connections on to.
func (c *containers) joinForwarders(names *container.List) {
	proxies := make(map[int32]netip.AddrPort) // by owner
	for i := range c.snap.Sockets {
		s, owner := &c.snap.Sockets[i], c.snap.Owner(i)
		if s.State != model.Listen || owner == nil || !isForwarder(owner.Name) {
			continue
		}
		known := &c.snap.Known[i]
		local := s.Local()
		id, port, published := names.Published(local.Addr(), local.Port())
		if _, both := s.DualStack(); both && !published {
			id, port, published = names.Published(netip.IPv4Unspecified(), local.Port())
		}
		if owner.Name == dockerProxy {
			// What it says of itself is nearer than what the engine was told to publish.
			n := known.Owner
			to, asked := proxies[n]
			if !asked {
				to, _ = proxyTarget(c.arguments(owner.PID))
				proxies[n] = to
			}
			if to.IsValid() {
				port = to.Port()
				if at, ok := names.At(to.Addr()); ok {
					id, published = at, true
				}
			}
		}
		known.ForwardsTo = port
		if published {
			known.Container = c.add(model.Container{ID: id, Runtime: runtimeOf(owner.Name)})
			if owner.Name == dockerProxy { // its connections are the container's too
				owner.Container = known.Container
			}
		}
	}
}

// runtimeOf is the engine of a forwarder, for a container of which no process is
// seen.
func runtimeOf(forwarder string) string {
	if forwarder == dockerProxy || forwarder == "rootlesskit" {
		return "docker"
	}
	return "podman"
}
