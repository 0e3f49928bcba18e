//go:build linux

package collector_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// changing is a Finder that never remembers where a socket is, and notes how many were wanted of it.
type changing struct {
	*owner.Finder
	some, all int
}

func (c *changing) FindSome(_ context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	c.some = wanted.Len()
	return dst, shared, owner.ErrChanged
}

func (c *changing) Find(ctx context.Context, wanted *owner.Wanted, dst []model.Owner, shared []model.SharedListener) ([]model.Owner, []model.SharedListener, error) {
	c.all = wanted.Len()
	return c.Finder.Find(ctx, wanted, dst, shared)
}

// procOf is a proc file system in which process 5 holds sockets of those inodes.
func procOf(t *testing.T, inodes ...uint32) string {
	t.Helper()
	proc := t.TempDir()
	if err := os.MkdirAll(filepath.Join(proc, "5", "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, inode := range inodes {
		if err := os.Symlink(fmt.Sprintf("socket:[%d]", inode), filepath.Join(proc, "5", "fd", fmt.Sprint(3+i))); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

// runWith runs a Collector that finds owners with finder, as test's own.
func runWith(t *testing.T, kernel *sockdiagtest.Kernel, finder collector.OwnerFinder, test func(ctx context.Context, c *collector.Collector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		c := collector.New(collector.Options{
			Dumper: sockdiag.New(kernel.Dial, clock, 1), Self: 1, Clock: clock, IDs: model.NewConnectionIDs([16]byte{}), Owners: finder,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait() // the first sample is there
		test(ctx, c)
	})
}

// Where the owners of a few sockets cannot be told alone, those of all are looked for.
func TestOwnersOfSomeAmongAll(t *testing.T) {
	proc := procOf(t, 7, 8)
	payload := func(cookie uint64, inode uint32) []byte {
		return sockdiagtest.Payload(conversation(cookie, func(s *model.Socket) { s.Inode = inode }))
	}
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(),              // the first sample
		sockdiagtest.Sockets(payload(1, 6)), // what listens, or would
		sockdiagtest.Sockets(payload(2, 7)), // what was asked for
		sockdiagtest.Sockets(payload(3, 8)), // all, of which the others have gone meanwhile
	}}
	finder := &changing{Finder: owner.NewFinder(proc)}
	runWith(t, kernel, finder, func(ctx context.Context, c *collector.Collector) {
		following, err := c.Follow(collector.Want{Owners: true}, &model.Filter{LocalPorts: []uint16{18080}})
		if err != nil {
			t.Fatal(err)
		}
		defer following.Close()
		snap, err := following.All(ctx)
		if err != nil {
			t.Fatal(err)
		}
		owners := make(map[uint32]int32)
		for i := range snap.Sockets {
			owners[snap.Sockets[i].Inode] = 0
			if owner := snap.Owner(i); owner != nil {
				owners[snap.Sockets[i].Inode] = owner.PID
			}
		}
		if diff := cmp.Diff(map[uint32]int32{6: 0, 7: 5}, owners); diff != "" {
			t.Errorf("owners by inode (-want +got):\n%s", diff)
		}
		if finder.some != 2 || finder.all != 3 {
			t.Errorf("owners of %d sockets and then of %d were looked for, want 2 and 3", finder.some, finder.all)
		}
		if kernel.Begun() != 4 {
			t.Errorf("%d dumps, want 4", kernel.Begun())
		}
	})
}
