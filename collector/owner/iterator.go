//go:build linux

package owner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// Iterator finds the owners of TCP sockets by a BPF program, which the kernel
// runs for each descriptor of each process. It remembers nothing: what a look
// tells was so during that look. It sees the descriptors of every thread. It is
// for one caller at a time.
type Iterator struct {
	program     *taskfile.Program
	read        func(context.Context, []taskfile.Record) ([]taskfile.Record, error)                            // program.Read, or a test's own
	connections func(ctx context.Context, pid int32, dst []taskfile.Connection) ([]taskfile.Connection, error) // program's
	reader      *processes.Reader
	records     []taskfile.Record
	looked      bool // whether records are of a look that no Find has used yet

	// noConnections is set once the kernel has shown that it cannot tell what one
	// process holds.
	noConnections bool

	// some is for FindSome: the kernel runs the program for every descriptor that
	// there is, however few are wanted. It reads /proc, where it can see of one
	// descriptor what it is, and where that may not be read asks by someByBPF which
	// sockets the processes hold that have changed. nil where neither can be had.
	some, someByBPF *Finder
	// many is many, or a test's own.
	many int
}

// many is how many descriptors take longer by BPF than a look at which processes
// have changed.
const many = 8192

// OpenIterator puts the BPF program into the kernel. The error is an
// *UnavailableError, which says why that cannot be: then a Finder has to do.
func OpenIterator() (*Iterator, error) {
	if err := checkIterator(); err != nil {
		return nil, &UnavailableError{Err: err}
	}
	program, err := taskfile.Load()
	if err != nil {
		return nil, &UnavailableError{Err: explain(err)}
	}
	it := &Iterator{program: program, read: program.Read, connections: program.Connections, reader: processes.NewReader("/proc"), many: many}
	if _, err := program.ReadOf(context.Background(), int32(os.Getpid()), nil); err == nil { // Linux 6.1
		it.someByBPF = NewFinder("/proc")
		it.someByBPF.held = program.ReadOf
	}
	it.some = it.someByBPF
	if CheckPrivilege() == nil {
		it.some = NewFinder("/proc")
	}
	return it, nil
}

// Close takes the BPF program out of the kernel.
func (it *Iterator) Close() error { return it.program.Close() }

// Look does, of the next Find, what can be done before it is known which
// sockets are wanted, as [Finder.Look] does.
func (it *Iterator) Look(ctx context.Context) (err error) {
	it.looked = false
	if it.records, err = it.read(ctx, it.records[:0]); err != nil {
		return fmt.Errorf("find the owners of the sockets by BPF: %w", err)
	}
	it.looked = true
	return nil
}

// Find does what [Finder.Find] does, for the sockets of TCP. No process is
// passed over for want of privilege.
func (it *Iterator) Find(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	looked := it.looked
	it.looked = false
	if wanted.Len() == 0 {
		it.records = nil
		return dst, shared, nil
	}
	if !looked {
		if err := it.Look(ctx); err != nil {
			return dst, shared, err
		}
		it.looked = false
	}
	byProcess := func(a, b taskfile.Record) int { return cmp.Compare(a.TGID, b.TGID) }
	if !slices.IsSortedFunc(it.records, byProcess) {
		slices.SortStableFunc(it.records, byProcess)
	}
	s := search{wanted: wanted, owners: dst, shared: shared, reader: it.reader}
	s.claimRecords(it.records, passesOn(it.reader))
	it.records = fit(it.records, len(it.records))
	return s.owners, s.shared, nil
}

// LookSome is Look for the next FindSome.
func (it *Iterator) LookSome(ctx context.Context) error {
	it.looked = false
	if it.some == nil {
		return it.Look(ctx)
	}
	it.some.lookedSome = false
	if len(it.records) > it.many {
		return it.some.LookSome(ctx)
	}
	return it.Look(ctx)
}

// FindRemembered does what [Finder.FindRemembered] does, without BPF. Where few
// sockets are held by anybody none is remembered.
func (it *Iterator) FindRemembered(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	if it.some == nil || len(it.records) <= it.many || it.looked {
		return dst, shared, ErrChanged
	}
	owners, further, err := it.some.FindSome(ctx, wanted, dst, shared)
	if err == nil && misses(wanted, it.some.ownerless) {
		err = ErrChanged
	}
	if err != nil {
		return dst, shared, err
	}
	return owners, further, nil
}

// FindSome does what [Finder.FindSome] does. Where few sockets are held by
// anybody it is Find.
func (it *Iterator) FindSome(ctx context.Context, wanted *Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	if it.some == nil || len(it.records) <= it.many || it.looked || wanted.Len() == 0 {
		records := it.records
		dst, shared, err := it.Find(ctx, wanted, dst, shared)
		if wanted.Len() == 0 {
			it.records = records
		}
		return dst, shared, err
	}
	owners, further, err := it.FindRemembered(ctx, wanted, dst, shared)
	if !errors.Is(err, ErrChanged) {
		return owners, further, err
	}
	// It is elsewhere, or a thread with descriptors of its own holds it.
	missing := wanted.appendUnfound(nil)
	wanted.unfind()
	if dst, shared, err = it.Find(ctx, wanted, dst, shared); err != nil {
		return dst, shared, err
	}
	for _, inode := range missing {
		if at := wanted.Owner(inode); at != model.NoOwner {
			it.some.forget(dst[at].PID) // which has it in the place of another
		}
	}
	it.some.ownerless = wanted.appendUnfound(it.some.ownerless[:0])
	return dst, shared, nil
}
