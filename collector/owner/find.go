//go:build linux

package owner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// minShare is how many of the remembered descriptors each look reads again at
// least, and trust is how long one goes without being read again.
const (
	minShare = 8192
	trust    = 30 * time.Second
)

// Finder finds the owners of sockets in /proc. It is for one caller at a time.
//
// Most of a look's cost is that of reading the link of each descriptor, and then
// that of listing them. So a Finder remembers which descriptors were sockets that
// were wanted. A look lists the descriptors of those processes
//
//   - that it does not remember, or that have another number of descriptors than
//     when they were listed last, as the kernel tells since Linux 6.2;
//   - that held a socket which is not wanted any more;
//   - that have not been listed for 15 to 30 seconds;
//   - of all, if there is a socket of which no owner has been found in those, and
//     which is not known to have none.
//
// Of the descriptors that there are now it reads
//
//   - those that it does not remember;
//   - those that were a socket that is not wanted any more, so that the number
//     is in use for something else;
//   - those that were a socket that had another descriptor too, or now turns up
//     under another: whoever shares a socket or passes it on may let go of it;
//   - of the rest those whose turn it is, which are at least 8192, and so many
//     that each descriptor's turn comes about every 30 seconds.
//
// A process that has taken the number of another inherits nothing. Where no
// more than 8192 descriptors are remembered all are listed and read: what is told
// was then so during the look. Where there are more, a descriptor can be told to
// be a socket that it is no longer, and what it is now be left out: if its process
// has let go of it and got something else, and the socket lives on without a
// descriptor that can be seen to be it. That is, somebody holds it who may not
// be looked into, or nobody yet, since it is on its way between two processes,
// or somebody who has let go of another descriptor for it, as where two processes
// have exchanged theirs. It ends when the turn comes.
//
// Of a process a Finder sees what the first thread holds. Threads that do not
// share their descriptors with it, which hardly a program has, are not seen.
type Finder struct {
	proc     string
	getdents func(fd int, buf []byte) (int, error)        // unix.Getdents, or a test's own
	readlink func(dir int, name, buf []byte) (int, error) // readlinkat, or a test's own
	clock    func() time.Time                             // time.Now, or a test's own
	minShare int                                          // minShare, or a test's own
	dirents  []byte
	there    []directory // of the processes that there are, by ascending number
	kernel   kernelThreads
	reader   *processes.Reader

	// held, unless it is nil, tells the sockets of one process in place of its
	// descriptors in /proc: for FindSome alone.
	held    func(ctx context.Context, pid int32, dst []taskfile.Record) ([]taskfile.Record, error)
	records []taskfile.Record // of one process, kept for its memory

	last     memory    // of the look before
	lastLook time.Time // when that began
	// tellsOpen is set once the kernel has told of a process how many descriptors
	// it has: then one of which it says 0 has none, as the kernel's own threads.
	tellsOpen bool
	look      memory    // of the look under way
	began     time.Time // when that began
	looked    bool      // whether it is there already, for Find
	skipped   int       // how many of its processes were not listed
	// lookedSome is looked for FindSome. inPlace is set during such a look: what it
	// changes of the descriptors it changes in last.
	lookedSome, inPlace bool
	spare               []descriptor // look's, while it is last's that are changed
	// verified and listedFrom are which descriptors such a look changes: those, and
	// all from there on. To go through a hundred thousand takes a part of a
	// millisecond, and so few are asked for by it.
	verified   []int
	listedFrom int
	// several are the sockets that had several descriptors at the last Find, and
	// ownerless those that had no owner, both in ascending order.
	several, ownerless []uint32
	// met are the sockets that the look under way found where they were not
	// before; doubted are those of them that are dealt with.
	met, doubted []uint32
	turn         position // up to here descriptors have had their turn
	dir          openDir
	// name and link are what readlink is given.
	name []byte
	link [maxLink]byte
}

// NewFinder returns a Finder that reads the proc file system mounted at proc.
func NewFinder(proc string) *Finder {
	return &Finder{
		proc: proc, getdents: unix.Getdents, readlink: readlinkat, clock: time.Now, minShare: minShare,
		dirents: make([]byte, 32<<10), dir: noDir(), reader: processes.NewReader(proc),
	}
}

// Find looks for the processes that hold the sockets in wanted. It appends each
// one that holds any to dst, and notes the process's index in dst as the owner of
// the socket. Of several owners the one with the lowest number counts, which among
// a parent and its workers is the parent as a rule; but systemd as process 1, which
// keeps what it has passed to a service, only where there is no other. Of the sockets of which every
// owner is wanted the further ones are appended to shared.
//
// A process that leaves meanwhile, and one that this daemon may not look into,
// is passed over; CheckPrivilege tells of the second.
func (f *Finder) Find(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	looked := f.looked
	f.looked, f.lookedSome = false, false
	if wanted.Len() == 0 {
		f.endInPlace()
		f.last, f.look = memory{}, memory{}
		return dst, shared, nil
	}
	if !looked {
		if err := f.Look(ctx); err != nil {
			return dst, shared, err
		}
		f.looked = false
	}
	defer f.dir.close()
	s := search{wanted: wanted, owners: dst, shared: shared, reader: f.reader}
	if err := f.find(ctx, &s); err != nil {
		return dst, shared, err
	}
	if f.skipped > 0 && misses(wanted, f.ownerless) {
		// Whoever holds it let go of as many descriptors as it got.
		if err := f.listSkipped(ctx, func(process) bool { return true }); err != nil {
			return dst, shared, err
		}
		wanted.unfind()
		s = search{wanted: wanted, owners: dst, shared: shared, reader: f.reader}
		if err := f.find(ctx, &s); err != nil {
			return dst, shared, err
		}
	}
	f.remember(wanted)
	return s.owners, s.shared, nil
}

// find finds the owners by the look under way.
func (f *Finder) find(ctx context.Context, s *search) error {
	if err := f.listSkipped(ctx, func(p process) bool { return f.heldUnwanted(p, s.wanted) }); err != nil {
		return err
	}
	if err := f.settle(ctx, s.wanted); err != nil {
		return err
	}
	if err := f.doubt(ctx, s.wanted); err != nil {
		return err
	}
	f.several = f.several[:0]
	for p := range f.inOrder {
		s.begin()
		for _, d := range f.look.of(*p) {
			if d.known != gone && s.claim(d.inode) {
				f.several = append(f.several, d.inode)
			}
		}
		s.end(p.pid)
	}
	slices.Sort(f.several)
	return nil
}

// inOrder yields the processes of the look under way in the order in which they
// claim sockets.
func (f *Finder) inOrder(yield func(*process) bool) {
	others := f.look.processes
	firstLast := len(others) > 0 && others[0].pid == 1 && passesOn(f.reader)
	if firstLast {
		others = others[1:]
	}
	for i := range others {
		if !yield(&others[i]) {
			return
		}
	}
	if firstLast {
		yield(&f.look.processes[0])
	}
}

// misses reports whether no owner was found of a socket that is not among those
// known to have none.
func misses(wanted *Wanted, ownerless []uint32) bool {
	for inode := range wanted.unfound {
		if _, known := slices.BinarySearch(ownerless, inode); !known {
			return true
		}
	}
	return false
}

// Look does, of the next Find, what can be done before it is known which
// sockets are wanted: it lists the descriptors of processes, and reads those that
// are not remembered and those whose turn it is. So it can go on while the sockets
// are dumped. Find does it by itself where it was not called.
func (f *Finder) Look(ctx context.Context) error {
	f.looked, f.lookedSome = false, false
	f.endInPlace()
	f.began = f.clock()
	if len(f.last.descriptors) <= f.minShare || f.elapsed() >= trust {
		f.last.forget() // each would be read again
	}
	defer f.dir.close()
	f.look.forget()
	if err := f.lookAtAll(ctx); err != nil {
		return err
	}
	if err := f.takeTurns(ctx, f.share(f.elapsed())); err != nil {
		return err
	}
	f.looked = true
	return nil
}

// lookAtAll lists the descriptors of all processes that cannot be skipped.
func (f *Finder) lookAtAll(ctx context.Context) error {
	f.met, f.skipped = f.met[:0], 0
	if err := f.list(); err != nil {
		return fmt.Errorf("list the processes: %w", err)
	}
	f.kernel.begin()
	for _, at := range f.there {
		if f.kernel.has(at) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		hasNone, err := f.visit(ctx, at.pid)
		if err != nil && !passedOver(err) {
			return fmt.Errorf("read the descriptors of process %d: %w", at.pid, err)
		}
		if hasNone {
			f.kernel.meet(at, f.reader)
		}
	}
	f.kernel.end()
	return nil
}

// elapsed is the time from the look before to the one under way.
func (f *Finder) elapsed() time.Duration { return f.began.Sub(f.lastLook) }

func (f *Finder) hadSeveral(inode uint32) bool {
	_, several := slices.BinarySearch(f.several, inode)
	return several
}

// list sets there to the processes that there are.
func (f *Finder) list() error {
	fd, err := unix.Open(f.proc, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: f.proc, Err: err}
	}
	defer unix.Close(fd)
	f.there = f.there[:0]
	for {
		n, err := unix.Getdents(fd, f.dirents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "read", Path: f.proc, Err: err}
		}
		if n == 0 {
			slices.SortFunc(f.there, directory.compare)
			return nil
		}
		for entries := f.dirents[:n]; ; {
			entry, rest, ok := nextDirent(entries)
			if !ok {
				break
			}
			entries = rest
			if pid, ok := decimal(entry.name[:len(entry.name)-1], math.MaxInt32); ok { // else not a process
				f.there = append(f.there, directory{int32(pid), entry.inode})
			}
		}
	}
}

// passedOver reports whether err only means that the process is gone or is not
// ours to look into.
func passedOver(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// visit adds the sockets that a process holds to the look under way. One that is
// as it was when it was listed last is taken to hold what it held then. hasNone is
// set where the kernel tells that it has no descriptor.
func (f *Finder) visit(ctx context.Context, pid int32) (hasNone bool, err error) {
	p, err := stat(f.proc, pid)
	if err != nil {
		return false, err
	}
	f.tellsOpen = f.tellsOpen || p.open != 0
	hasNone = f.tellsOpen && p.open == 0
	if was, remembered := f.last.find(p); remembered && f.tellsOpen && p.open == was.open && f.began.Sub(was.listed) < f.trusted(was) {
		p.listed, p.skipped = was.listed, true
		f.skipped++
		f.takeOver(&p, was)
		f.look.processes = append(f.look.processes, p)
		return hasNone, nil
	}
	if f.held != nil {
		err = f.listHeld(ctx, &p)
	} else {
		open := p.open // without the directory, which is one of the daemon's own
		if p, err = f.dir.open(f.proc, pid); err != nil {
			return false, err
		}
		p.open = open
		was, _ := f.last.find(p)
		err = f.listDescriptors(&p, f.last.of(was))
		f.dir.close()
	}
	// One that leaves half way still held what it was seen to hold.
	f.look.processes = append(f.look.processes, p)
	return hasNone, err
}

// takeOver gives a process what it was known to have.
func (f *Finder) takeOver(p *process, was process) {
	if f.inPlace {
		p.begin, p.end = was.begin, was.end
		return
	}
	p.begin = len(f.look.descriptors)
	f.look.descriptors = append(f.look.descriptors, f.last.of(was)...)
	p.end = len(f.look.descriptors)
}

// trusted is for how long the descriptors of a process need not be listed where
// their number stays the same. A look for some sockets, which is to be short,
// waits as long again for each 8192 of them.
func (f *Finder) trusted(p process) time.Duration {
	if f.inPlace {
		return p.trusted() * time.Duration(1+p.open/minShare)
	}
	return p.trusted()
}

// listSkipped lists the descriptors of those processes that were skipped and for
// which which says so.
func (f *Finder) listSkipped(ctx context.Context, which func(process) bool) error {
	for i := range f.look.processes {
		was := f.look.processes[i]
		if !was.skipped || !which(was) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		f.skipped--
		p, err := f.dir.open(f.proc, was.pid)
		switch {
		case err != nil: // it has none any more
		case p.born == was.born:
			p.open = was.open
			err = f.listDescriptors(&p, f.look.of(was))
		default:
			err = f.listDescriptors(&p, nil)
		}
		f.look.processes[i] = p
		if err != nil && !passedOver(err) {
			return fmt.Errorf("read the descriptors of process %d: %w", p.pid, err)
		}
	}
	return nil
}

// listDescriptors lists those of the process whose directory is open. past is
// what it was known to have.
func (f *Finder) listDescriptors(p *process, past []descriptor) error {
	p.listed, p.begin = f.began, len(f.look.descriptors)
	err := f.visitDirectory(past)
	p.end = len(f.look.descriptors)
	// /proc lists descriptors by their numbers already.
	byNumber := func(a, b descriptor) int { return compareNumber(a, b.fd) }
	if own := f.look.of(*p); !slices.IsSortedFunc(own, byNumber) {
		slices.SortFunc(own, byNumber)
	}
	return err
}

// visitDirectory adds the sockets of the directory that is open.
func (f *Finder) visitDirectory(past []descriptor) error {
	for at := 0; ; {
		n, err := f.getdents(f.dir.fd, f.dirents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		at = f.visitEntries(f.dirents[:n], past, at)
	}
}

// visitEntries does so for one buffer of directory entries. at is how many of
// past are behind us, and what it returns is so after it. The entries are read
// as they lie: os.ReadDir would allocate for every descriptor of the host.
func (f *Finder) visitEntries(entries []byte, past []descriptor, at int) int {
	for len(entries) > 0 {
		entry, rest, ok := nextDirent(entries)
		if !ok {
			break
		}
		entries = rest
		name := entry.name
		number, ok := decimal(name[:len(name)-1], math.MaxInt32)
		if !ok {
			continue // . or ..
		}
		d := descriptor{fd: int32(number)}
		remembered := at < len(past) && past[at].fd == d.fd // as /proc lists them by number
		if !remembered {
			at, remembered = slices.BinarySearchFunc(past, d.fd, compareNumber)
		}
		if remembered && past[at].known != gone {
			f.look.descriptors = append(f.look.descriptors, past[at])
			at++
		} else if f.read(&d, name) {
			f.look.descriptors = append(f.look.descriptors, d)
		}
	}
	return at
}

// read reads which socket a descriptor of the process whose directory is open
// is, and reports whether it is one. name is its number, with a NUL.
func (f *Finder) read(d *descriptor, name []byte) bool {
	n, err := f.readlink(f.dir.fd, name, f.link[:])
	if err != nil || n == len(f.link) {
		return false // closed meanwhile, or cut off and so longer than a socket's
	}
	inode, ok := socketInode(f.link[:n])
	if !ok {
		return false
	}
	d.inode, d.known = inode, read
	return true
}
