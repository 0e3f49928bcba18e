//go:build linux

package owner

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// share returns how many of the remembered descriptors have their turn.
func (f *Finder) share(elapsed time.Duration) int {
	due := float64(len(f.last.descriptors)) * float64(elapsed) / float64(trust)
	return max(f.minShare, int(due))
}

// meet notes that a socket was found where it was not before.
func (f *Finder) meet(inode uint32) {
	if len(f.last.descriptors) > 0 { // else there is nothing to doubt
		f.met = append(f.met, inode)
	}
}

// takeTurns reads again that many descriptors that were taken over, those whose
// turn it is.
func (f *Finder) takeTurns(ctx context.Context, share int) error {
	for p, d := range f.look.from(f.turn) {
		if share == 0 {
			break
		}
		if d.known != taken {
			continue
		}
		f.turn = position{pid: p.pid, fd: d.fd}
		if err := f.reread(ctx, p.pid, d); err != nil {
			return err
		}
		share--
	}
	return nil
}

// heldUnwanted reports whether a process was known to hold a socket that is not
// wanted any more.
func (f *Finder) heldUnwanted(p process, wanted *Wanted) bool {
	for _, d := range f.look.of(p) {
		if !wanted.has(d.inode) {
			return true
		}
	}
	return false
}

// settle keeps of the look under way what is wanted. What was taken over and is
// not wanted any more is read again, since its number is in use for something
// else, and so is what had several descriptors, or may have had without anybody
// having looked.
func (f *Finder) settle(ctx context.Context, wanted *Wanted) error {
	for _, p := range f.look.processes {
		own := f.look.of(p)
		for i := range own {
			d := &own[i]
			isNew := d.known == fresh
			if isNew || d.known == taken && (!wanted.has(d.inode) || f.hadSeveral(d.inode)) {
				if err := f.reread(ctx, p.pid, d); err != nil {
					return err
				}
				if isNew && d.known == confirmed {
					d.known = read
				}
			}
			f.sift(d, wanted)
		}
	}
	return nil
}

// sift drops a descriptor that is not wanted, and meets one that is new.
func (f *Finder) sift(d *descriptor, wanted *Wanted) {
	switch {
	case d.known == gone:
	case !wanted.has(d.inode):
		d.known = gone
	case d.known == read:
		f.meet(d.inode)
	}
}

// doubt reads again those descriptors that were taken over of which the socket
// was met elsewhere too.
func (f *Finder) doubt(ctx context.Context, wanted *Wanted) error {
	for len(f.met) > 0 { // to read one again can turn up another socket
		f.met, f.doubted = f.doubted[:0], f.met
		slices.Sort(f.doubted)
		for _, p := range f.look.processes {
			own := f.look.of(p)
			for i := range own {
				d := &own[i]
				if d.known != taken {
					continue
				}
				if _, doubted := slices.BinarySearch(f.doubted, d.inode); !doubted {
					continue
				}
				if err := f.reread(ctx, p.pid, d); err != nil {
					return err
				}
				f.sift(d, wanted)
			}
		}
	}
	return nil
}

// reread reads a descriptor that was taken over. One that is no socket any more,
// or has gone with its process, is marked as gone.
func (f *Finder) reread(ctx context.Context, pid int32, d *descriptor) error {
	if f.dir.pid != pid {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := f.dir.open(f.proc, pid); err != nil && !passedOver(err) {
			return fmt.Errorf("read the descriptors of process %d again: %w", pid, err)
		}
	}
	was := d.inode
	f.name = append(strconv.AppendInt(f.name[:0], int64(d.fd), 10), 0)
	switch {
	case f.dir.fd < 0 || !f.read(d, f.name):
		d.known = gone
	case d.inode == was:
		d.known = confirmed
	}
	return nil
}

// remember keeps what the look found.
func (f *Finder) remember(wanted *Wanted) {
	f.last.take(&f.look)
	f.lastLook = f.began
	f.last.fit(&f.last)
	f.look.forget()
	f.look.fit(&f.last)
	f.ownerless = f.ownerless[:0]
	n := len(f.last.descriptors)
	if n > f.minShare { // else nothing is taken over
		f.ownerless = wanted.appendUnfound(f.ownerless)
	}
	f.met, f.doubted, f.several = fit(f.met[:0], n), fit(f.doubted[:0], n), fit(f.several, n)
	f.ownerless = fit(f.ownerless, len(f.ownerless))
	f.there = fit(f.there, len(f.there))
}
