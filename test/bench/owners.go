//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/connectionsd/connectionsd/collector/age"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
	"github.com/connectionsd/connectionsd/test/measuring"
)

// replaced is how many connections each process replaces before each look of
// the row with new sockets.
const replaced = 100

// owners measures how long it takes to find the process of each socket.
func owners(ctx context.Context, o options) (_ *section, err error) {
	of := o.size
	made, err := makeSockets(ctx, of)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, made.close()) }()
	bare, err := dialBare()
	if err != nil {
		return nil, err
	}
	defer bare.close()
	iterator, err := owner.OpenIterator()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iterator.Close()) }()
	l := lookup{dumper: sockdiag.New(sockdiag.Dial, age.NewClock(), 0)}
	defer l.dumper.Close()
	if err := l.dump(ctx); err != nil {
		return nil, err
	}

	walk := owner.NewFinder("/proc")
	same := func() error { l.again(); return nil }
	cold := func() error { walk = owner.NewFinder("/proc"); return same() }
	some := func() error {
		if err := made.replace(replaced); err != nil {
			return err
		}
		return l.dump(ctx)
	}
	byWalk := func() error { return l.find(ctx, walk) }
	rows, err := measure(of.runs, []task{
		{name: bareName, run: func() error { return bare.dump(ctx) }, note: "of the sockets by sock_diag, thrown away"},
		{name: "BPF", prepare: same, run: func() error { return l.find(ctx, iterator) }},
		{name: "/proc, cold", prepare: cold, run: byWalk, note: "by a Finder that remembers nothing"},
		{name: "/proc, with memory", prepare: same, run: byWalk, note: "of the same sockets as at the last look"},
		{name: "/proc, with memory, some new", prepare: some, run: byWalk, note: fmt.Sprintf("with %d sockets replaced since the last look", 2*replaced*of.processes)},
		{name: ssOwnersName, run: func() error { return exec.CommandContext(ctx, "ss", "-tinapH").Run() }, note: "with a dump, and its output thrown away", most: 3},
	})
	if err != nil {
		return nil, err
	}
	title := fmt.Sprintf("Owners of %d TCP sockets in %d processes; medians of %d runs", len(l.sockets), of.processes, of.runs)
	return &section{tables: []*measuring.Table{timings(title, rows)}}, nil
}

// finder is an owner.Finder or an owner.Iterator.
type finder interface {
	Find(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error)
}

// lookup looks for the owners of the sockets of a dump.
type lookup struct {
	dumper  *sockdiag.Dumper
	sockets []model.Socket
	wanted  owner.Wanted
	owners  []model.Owner
}

// dump sees which sockets there are.
func (l *lookup) dump(ctx context.Context) (err error) {
	if l.sockets, err = l.dumper.Dump(ctx, l.sockets[:0], sockdiag.Only{}, nil); err != nil {
		return err
	}
	l.again()
	return nil
}

// again makes ready for another look for the owners of the same sockets.
func (l *lookup) again() {
	l.wanted.Reset(len(l.sockets))
	for i := range l.sockets {
		l.wanted.Add(l.sockets[i].Inode, false)
	}
}

// find finds the owner of each socket.
func (l *lookup) find(ctx context.Context, f finder) (err error) {
	if l.owners, _, err = f.Find(ctx, &l.wanted, l.owners[:0], nil); err != nil {
		return err
	}
	for i := range l.sockets {
		if inode := l.sockets[i].Inode; inode != 0 && l.wanted.Owner(inode) == model.NoOwner {
			return fmt.Errorf("no owner was found of the socket with inode %d", inode)
		}
	}
	return nil
}
