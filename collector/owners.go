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

// look looks at the processes while the dump goes on that has what only says.
// The returned function waits for it.
func (c *Collector) look(ctx context.Context, only sockdiag.Only) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		if only.All() {
			done <- c.options.Owners.Look(ctx)
		} else {
			done <- c.options.Owners.LookSome(ctx)
		}
	}()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("look at the processes: %w", err)
		}
		return nil
	}
}

// joinOwners joins the owners that were looked for during the dump, which was of
// some of the sockets or of all; of what listens every one with allOfListeners. A
// descriptor that was closed, or opened, in between is then an owner that is not
// known, never a wrong one, since the kernel does not use an inode number of
// sockfs again soon.
func (c *Collector) joinOwners(ctx context.Context, snap *model.Snapshot, allOfListeners, some bool) error {
	find := c.options.Owners.Find
	if some {
		find = c.options.Owners.FindSome
	}
	err := c.findOwners(ctx, snap, allOfListeners, find)
	if errors.Is(err, owner.ErrChanged) {
		err = c.findAmongAll(ctx, snap, allOfListeners)
	}
	if err != nil {
		return fmt.Errorf("find the owners of the sockets: %w", err)
	}
	c.setOwners(snap)
	return nil
}

// find is one of the ways of an OwnerFinder to find owners.
type find func(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)

// findOwners finds them as find does.
func (c *Collector) findOwners(ctx context.Context, snap *model.Snapshot, allOfListeners bool, find find) (err error) {
	c.wanted.Reset(len(snap.Sockets))
	c.wantOwners(snap, allOfListeners)
	snap.Owners, snap.Shared, err = find(ctx, &c.wanted, snap.Owners, snap.Shared)
	return err
}

func (c *Collector) setOwners(snap *model.Snapshot) {
	for i := range snap.Sockets {
		snap.Known[i].Owner = c.wanted.Owner(snap.Sockets[i].Inode)
	}
}

func (c *Collector) wantOwners(snap *model.Snapshot, allOfListeners bool) {
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		c.wanted.Add(s.Inode, allOfListeners && s.State == model.Listen)
	}
}

// findAmongAll finds the owners of the few sockets of snap as those of all that
// there are, which takes another dump.
func (c *Collector) findAmongAll(ctx context.Context, snap *model.Snapshot, allOfListeners bool) error {
	all, _, err := c.collect(ctx, sockdiag.Only{}, nil)
	defer c.release(&lease{snap: all, readers: 1})
	if err != nil {
		return err
	}
	c.wanted.Reset(len(all.Sockets) + len(snap.Sockets))
	c.wantOwners(all, false)
	c.wantOwners(snap, allOfListeners)
	snap.Owners, snap.Shared, err = c.options.Owners.Find(ctx, &c.wanted, snap.Owners, snap.Shared)
	return err
}
