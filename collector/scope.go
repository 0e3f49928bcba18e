//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"

	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// scopeAmong is how many sockets there must be for a scope to be collected by
// itself, and scopeShare how much of them it may be at the most: to look up one
// connection takes as long as to dump some.
const (
	scopeAmong = 4096
	scopeShare = 8
)

// errAmongAll says that a scope has to be collected with all sockets.
var errAmongAll = errors.New("the scope cannot be collected by itself")

// collectScope makes a snapshot of what listens, and of the connections that
// those processes hold which listen on the port of the scope: their descriptors
// say which these are, and each is looked up by its addresses. With a hundred
// thousand other sockets that takes some milliseconds where a dump takes two
// hundred (docs/performance.md). The error is errAmongAll where it cannot be had.
//
// All that is read is read after the call, and a connection that lives through
// it is held by its process when the descriptors are read.
func (c *Collector) collectScope(ctx context.Context, port uint16) (*model.Snapshot, error) {
	if c.latest < scopeAmong || !c.options.Owners.TellsConnections() {
		return nil, errAmongAll
	}
	look := c.look(ctx, sockdiag.OnlyListeners())
	snap, _, err := c.collect(ctx, sockdiag.OnlyListeners(), nil)
	if lookErr := look(); err == nil {
		err = lookErr
	}
	if err != nil {
		return nil, err
	}
	held, err := c.heldBy(ctx, snap, port)
	if err != nil {
		return nil, err
	}
	c.history.begin(snap, false, true, c.again(ctx))
	listeners := len(snap.Sockets)
	for i := range held {
		if snap.Sockets, err = c.lookUp(ctx, &held[i], snap.Sockets); err != nil {
			return nil, err
		}
	}
	c.history.join(snap.Sockets[:listeners], 0)
	snap.Sockets = snap.Sockets[:c.history.join(snap.Sockets, listeners)]
	c.history.endPart()
	return snap, nil
}

// heldBy returns the connections of the processes that listen on a port.
func (c *Collector) heldBy(ctx context.Context, listeners *model.Snapshot, port uint16) (held []owner.Connection, err error) {
	if err := c.joinOwners(ctx, listeners, true, true); err != nil {
		return nil, err
	}
	scope := listeners.Scope(port)
	for _, at := range scope.Owners {
		held, err = c.options.Owners.Connections(ctx, listeners.Owners[at].PID, held)
		if errors.Is(err, owner.ErrNoConnections) || len(held) > c.latest/scopeShare {
			return nil, errAmongAll
		}
		if err != nil {
			return nil, fmt.Errorf("find the connections of the scope: %w", err)
		}
	}
	listeners.Owners, listeners.Shared = listeners.Owners[:0], listeners.Shared[:0] // they are joined anew
	return held, nil
}

// lookUp appends the socket of a connection, unless it is gone by now or in a
// namespace that is not collected.
func (c *Collector) lookUp(ctx context.Context, of *owner.Connection, dst []model.Socket) ([]model.Socket, error) {
	dumper := c.namespaces.dumper(of.NetNS)
	if dumper == nil {
		return dst, nil
	}
	n := len(dst)
	dst, err := dumper.Lookup(ctx, sockdiag.ID{
		Family: of.Family, LocalIP: of.LocalIP, RemoteIP: of.RemoteIP, LocalPort: of.LocalPort, RemotePort: of.RemotePort, Interface: of.Interface,
	}, dst)
	switch {
	case err != nil && left(err):
		return dst, nil
	case err != nil:
		return dst, fmt.Errorf("look up a connection of the scope: %w", err)
	}
	if len(dst) > n && (dst[n].Inode != of.Inode || !dst[n].State.IsConnection()) {
		dst = dst[:n] // another's by now
	}
	return dst, nil
}
