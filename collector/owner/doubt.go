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

// doubt reads again what was taken over from the look before: so many whose
// turn it is, and those that were a socket that was found elsewhere too.
func (f *Finder) doubt(ctx context.Context, wanted map[uint32]int32, share int) error {
	for p, d := range f.look.from(f.turn) {
		if share == 0 {
			break
		}
		if !d.taken {
			continue
		}
		f.turn = position{pid: p.pid, fd: d.fd}
		if err := f.reread(ctx, p.pid, d, wanted); err != nil {
			return err
		}
		share--
	}
	// To read one again can turn up another socket.
	for len(f.met) > 0 {
		f.met, f.doubted = f.doubted[:0], f.met
		slices.Sort(f.doubted)
		for p, d := range f.look.from(position{}) {
			if !d.taken {
				continue
			}
			if _, doubted := slices.BinarySearch(f.doubted, d.inode); !doubted {
				continue
			}
			if err := f.reread(ctx, p.pid, d, wanted); err != nil {
				return err
			}
		}
	}
	f.look.compact()
	return nil
}

// reread reads a descriptor that was taken over. One that is no wanted socket
// any more, or has gone with its process, is marked as gone.
func (f *Finder) reread(ctx context.Context, pid int32, d *descriptor, wanted map[uint32]int32) error {
	if f.dir.pid != pid {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := f.dir.open(f.proc, pid); err != nil && !passedOver(err) {
			return fmt.Errorf("read the descriptors of process %d again: %w", pid, err)
		}
	}
	was := d.inode
	d.taken = false
	f.name = append(strconv.AppendInt(f.name[:0], int64(d.fd), 10), 0)
	if f.dir.fd < 0 || !f.read(d, f.name) {
		d.fd = gone
		return nil
	}
	switch _, isWanted := wanted[d.inode]; {
	case !isWanted:
		d.fd = gone
	case d.inode != was:
		f.meet(d.inode)
	}
	return nil
}

// remember keeps what the look found.
func (f *Finder) remember() {
	f.last, f.look, f.lastLook = f.look, f.last, f.began
	n := len(f.last.descriptors)
	f.last.fit(n)
	f.look.forget()
	f.look.fit(n)
	slices.Sort(f.several)
	f.met, f.doubted, f.several = fit(f.met[:0], n), fit(f.doubted[:0], n), fit(f.several, n)
	f.pids = fit(f.pids, len(f.pids))
}
