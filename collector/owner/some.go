//go:build linux

package owner

import (
	"context"
	"errors"
	"slices"

	"github.com/connectionsd/connectionsd/model"
)

// ErrChanged is FindSome's error where it takes a Find to tell the owners: a
// socket is not where any is remembered to be.
var ErrChanged = errors.New("a socket has no owner that is remembered")

// FindSome does what Find does, for a few of the sockets that there are. It
// reads the link of every descriptor that is remembered to be one of them, so
// what it tells was so during the look, and reads nothing of the others that has
// not changed. What is remembered of the others stays.
//
// The error is ErrChanged, and the wanted have to be added anew, where there is a socket without an owner that is not
// known, by the last Find, to have none. It may be in the place of one that is
// remembered, and which of those have gone is known to who wants all.
func (f *Finder) FindSome(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	looked := f.lookedSome
	f.looked, f.lookedSome = false, false
	if wanted.Len() == 0 {
		return dst, shared, nil
	}
	if !looked {
		if err := f.LookSome(ctx); err != nil {
			return dst, shared, err
		}
		f.lookedSome = false
	}
	defer f.dir.close()
	s := search{wanted: wanted, owners: dst, shared: shared}
	if err := f.findSome(ctx, &s); err != nil {
		return dst, shared, err
	}
	remembers := len(f.last.descriptors) > 0
	f.rememberSome()
	if remembers && misses(wanted, f.ownerless) {
		return dst, shared, ErrChanged
	}
	return s.owners, s.shared, nil
}

// LookSome is Look for the next FindSome.
func (f *Finder) LookSome(ctx context.Context) error {
	f.looked, f.lookedSome = false, false
	f.began = f.clock()
	defer f.dir.close()
	if err := f.lookAtAll(ctx); err != nil {
		return err
	}
	f.lookedSome = true
	return nil
}

// findSome finds the owners by the look under way.
func (f *Finder) findSome(ctx context.Context, s *search) error {
	for _, p := range f.look.processes {
		s.begin()
		own := f.look.of(p)
		for i := range own {
			d := &own[i]
			if d.known == gone || !s.wanted.has(d.inode) {
				continue
			}
			if err := f.verify(ctx, p.pid, d); err != nil {
				return err
			}
			if d.known != gone {
				s.claim(d.inode)
			}
		}
		s.end(f.proc, p.pid)
	}
	return nil
}

// verify reads a descriptor again, unless this look has read it.
func (f *Finder) verify(ctx context.Context, pid int32, d *descriptor) error {
	was := d.known
	if was != taken && was != fresh {
		return nil
	}
	err := f.reread(ctx, pid, d)
	if was == fresh && d.known == confirmed {
		d.known = read // which it stays to the next Find
	}
	return err
}

// rememberSome keeps what the look found.
func (f *Finder) rememberSome() {
	f.last.take(&f.look, fresh)
	f.last.fit(&f.last)
	f.look.forget()
	f.look.fit(&f.last)
	f.pids = fit(f.pids, len(f.pids))
}

// forget forgets a process, so that the next look reads all that it has.
func (f *Finder) forget(pid int32) {
	if i, found := slices.BinarySearchFunc(f.last.processes, pid, comparePID); found {
		f.last.processes[i].born = birth{}
	}
}
