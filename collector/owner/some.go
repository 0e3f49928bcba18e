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
	s := search{wanted: wanted, owners: dst, shared: shared, reader: f.reader}
	if err := f.findSome(ctx, &s); err != nil {
		return dst, shared, err
	}
	remembers := len(f.last.processes) > 0
	f.rememberSome()
	if remembers && misses(wanted, f.ownerless) {
		return dst, shared, ErrChanged
	}
	return s.owners, s.shared, nil
}

// FindRemembered finds owners where [Finder.LookSome] has looked or others are
// remembered, and returns ErrChanged where all processes would have to be looked
// at again. A Finder's FindSome does no more than that.
func (f *Finder) FindRemembered(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	return f.FindSome(ctx, wanted, dst, shared)
}

// LookSome is Look for the next FindSome.
func (f *Finder) LookSome(ctx context.Context) error {
	f.looked, f.lookedSome = false, false
	f.endInPlace()
	f.began = f.clock()
	if len(f.last.descriptors) <= f.minShare {
		f.last.forget() // each would be read again
	}
	defer f.dir.close()
	f.beginInPlace()
	if err := f.lookAtAll(ctx); err != nil {
		return err
	}
	f.lookedSome = true
	return nil
}

// beginInPlace has the look under way work on the descriptors of last: with a
// hundred thousand, to copy them would be most of the work.
func (f *Finder) beginInPlace() {
	f.inPlace, f.spare = true, f.look.descriptors
	f.look.processes, f.look.descriptors = f.look.processes[:0], f.last.descriptors
	f.verified, f.listedFrom = f.verified[:0], len(f.last.descriptors)
}

// endInPlace ends that, if it is so.
func (f *Finder) endInPlace() {
	if !f.inPlace {
		return
	}
	for _, i := range f.verified {
		f.look.descriptors[i].endLook()
	}
	for i := range f.look.descriptors[f.listedFrom:] {
		f.look.descriptors[f.listedFrom+i].endLook()
	}
	f.look.descriptors, f.spare, f.inPlace = f.spare, nil, false
}

// endLook makes what a look for some has read known from a look before.
func (d *descriptor) endLook() {
	switch d.known {
	case read:
		d.known = fresh
	case confirmed:
		d.known = taken
	}
}

// findSome finds the owners by the look under way.
func (f *Finder) findSome(ctx context.Context, s *search) error {
	for p := range f.inOrder {
		if f.held != nil && p.skipped && p.open <= few && f.holdsWanted(*p, s.wanted) {
			if err := f.listHeld(ctx, p); err != nil {
				return err
			}
		}
		s.begin()
		own := f.look.of(*p)
		for i := range own {
			d := &own[i]
			if !s.wanted.mayHave(d.inode) || d.known == gone || !s.wanted.has(d.inode) {
				continue
			}
			if f.held == nil {
				f.verified = append(f.verified, p.begin+i)
				if err := f.verify(ctx, p.pid, d); err != nil {
					return err
				}
			}
			if d.known != gone {
				s.claim(d.inode)
			}
		}
		s.end(p.pid)
	}
	return nil
}

// few is how many descriptors of a process are looked at again whenever it is to
// be told as an owner, where it is not possible to look at one. A process with
// more is taken to hold what it held while their number is the same, for half a
// minute or, with very many, some: a socket that it has passed on has then made
// another process have one more, and so be looked at.
const few = 1024

// holdsWanted reports whether a process is known to hold a socket that is wanted.
func (f *Finder) holdsWanted(p process, wanted *Wanted) bool {
	for _, d := range f.look.of(p) {
		if wanted.mayHave(d.inode) && wanted.has(d.inode) {
			return true
		}
	}
	return false
}

// listHeld lists the sockets of a process as held tells them.
func (f *Finder) listHeld(ctx context.Context, p *process) (err error) {
	if f.records, err = f.held(ctx, p.pid, f.records[:0]); err != nil {
		return err
	}
	p.listed, p.skipped, p.begin = f.began, false, len(f.look.descriptors)
	for i, r := range f.records {
		f.look.descriptors = append(f.look.descriptors, descriptor{fd: int32(i), inode: r.Inode, known: read})
	}
	p.end = len(f.look.descriptors)
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
	f.last.processes, f.look.processes = f.look.processes, f.last.processes
	f.last.descriptors = f.look.descriptors
	f.endInPlace()
	used := 0
	for _, p := range f.last.processes {
		used += p.end - p.begin
	}
	if len(f.last.descriptors) > 2*used+spare { // what was listed anew stands behind the others
		f.look.take(&f.last)
		f.last, f.look = f.look, f.last
		f.last.fit(&f.last)
	}
	f.look.forget()
	f.look.fit(&f.last)
	f.there, f.verified = fit(f.there, len(f.there)), fit(f.verified, len(f.verified))
}

// forget forgets a process, so that the next look reads all that it has.
func (f *Finder) forget(pid int32) {
	if i, found := slices.BinarySearchFunc(f.last.processes, pid, comparePID); found {
		f.last.processes[i].born = birth{}
	}
}
