package collector

import (
	"context"
	"errors"
	"time"

	"github.com/connectionsd/connectionsd/model"
)

// ErrStopped is returned for a snapshot that was asked for after, or was not
// begun before, the end of Run.
var ErrStopped = errors.New("the collector has stopped")

// Following reads a snapshot, and where nothing is wanted but what every
// snapshot has, while its dump goes on.
type Following struct {
	of reading
}

// reading is a snapshot that is read: one of a Collector, or a whole one.
type reading interface {
	next(ctx context.Context) (snap *model.Snapshot, ended bool, err error)
	// onlyWhole makes next wait for the end.
	onlyWhole()
	evicted() context.Context
	shared(create func(before any) any) any
	times() Times
	close()
}

// Times are when a snapshot was made. Those of one of a scope that is collected by itself have all of it before Dumped.
type Times struct {
	// Began is when the dump did, Dumped when it had ended, and Joined when all that was wanted was joined.
	Began, Dumped, Joined time.Time
}

// Whole returns a Following of a snapshot that is there already. Close calls
// release.
func Whole(snap *model.Snapshot, release func()) *Following {
	return &Following{whole{snap, release}}
}

// Next waits until the dump has come further, or has ended, and returns the
// snapshot as far as it is known: the sockets of before, at the same indexes,
// and those that are new. Where the dump begins anew they are others, and an error
// comes at the end. It is good until Close. The last one, which may have
// nothing new, comes with ended. With a Want there is only the last one.
//
// The error is that of the dump, or ErrStopped, or the cause of ctx. What was
// read before an error may be only a part of what there is.
func (r *Following) Next(ctx context.Context) (snap *model.Snapshot, ended bool, err error) {
	return r.of.next(ctx)
}

// All waits for the whole snapshot. It is for who has not called Next.
func (r *Following) All(ctx context.Context) (*model.Snapshot, error) {
	r.of.onlyWhole()
	snap, _, err := r.of.next(ctx)
	return snap, err
}

// Evicted is done when others wait for the snapshot's memory: whoever waits for
// a slow client must then see to it that it is closed soon.
func (r *Following) Evicted() context.Context { return r.of.evicted() }

// Shared returns what all who read this snapshot share, which is what create
// returns when the first of them calls; nil where nobody else does. It is for
// who has called Next or All, until Close. create is given what the readers of an
// earlier snapshot shared, of whom none is left, to use its memory again; nil
// where there is none.
func (r *Following) Shared(create func(before any) any) any { return r.of.shared(create) }

// Times says when the snapshot was made; the zero Times before its end, and of one that was there already.
func (r *Following) Times() Times { return r.of.times() }

// Close gives the snapshot back.
func (r *Following) Close() { r.of.close() }

// whole is a snapshot that is there already.
type whole struct {
	snap    *model.Snapshot
	release func()
}

func (w whole) next(context.Context) (*model.Snapshot, bool, error) { return w.snap, true, nil }
func (w whole) onlyWhole()                                          {}
func (w whole) evicted() context.Context                            { return context.Background() }
func (w whole) shared(func(any) any) any                            { return nil }
func (w whole) times() Times                                        { return Times{} }
func (w whole) close()                                              { w.release() }
