//go:build linux

package collector_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// slow is a kernel whose dumps take a second each.
type slow struct {
	sockdiag.Conn
}

func (s slow) Send(r sockdiag.Request) error {
	time.Sleep(time.Second)
	return s.Conn.Send(r)
}

// busy begins a dump that is going on when it returns, of a kernel that is slow in this bubble: who asks before it has
// ended shares the next one. Nobody waits for it.
func busy(t *testing.T, c *collector.Collector) {
	t.Helper()
	following, err := c.Follow(collector.Want{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	following.Close()
}

// run runs a collector on dial in a bubble.
func run(t *testing.T, dial func() (sockdiag.Conn, error), onDumpError func(error), test func(ctx context.Context, stop func(), c *collector.Collector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		c := collector.New(collector.Options{
			Dumper:      sockdiag.New(dial, clock, 1),
			Owners:      owner.NewFinder("/proc"),
			Clock:       clock,
			IDs:         model.NewConnectionIDs([16]byte{}),
			OnDumpError: onDumpError,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		stop := func() { cancel(); <-done }
		defer stop()
		test(t.Context(), stop, c)
	})
}

// A request is answered by a dump that began after it arrived, and those that
// arrive during a dump share the next one.
func TestRequestsShareDumps(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		began := time.Now()
		synctest.Wait() // the sampler's first dump runs, until 1 s
		var group sync.WaitGroup
		var early, late atomic.Int64
		ask := func(ends *atomic.Int64) {
			group.Go(func() {
				arrived := time.Since(began)
				snap, release, err := c.Snapshot(ctx, collector.Want{})
				if err != nil {
					t.Error(err)
					return
				}
				defer release()
				if snap.Began < arrived {
					t.Errorf("arrived at %v, answered by the dump that began at %v", arrived, snap.Began)
				}
				ends.Store(int64(time.Since(began)))
			})
		}
		for range 10 {
			ask(&early)
		}
		time.Sleep(1500 * time.Millisecond) // the dump for those ten runs, until 2 s
		for range 10 {
			ask(&late)
		}
		group.Wait()
		if early.Load() != int64(2*time.Second) || late.Load() != int64(3*time.Second) {
			t.Errorf("answered after %v and %v, want 2s and 3s", time.Duration(early.Load()), time.Duration(late.Load()))
		}
		if kernel.Begun() != 3 {
			t.Errorf("%d dumps, want 3: the sampler's and one for each ten requests", kernel.Begun())
		}
	})
}

// alone is slow, and counts those who ask the kernel at the same time.
type alone struct {
	slow
	asking *atomic.Int32
	most   *atomic.Int32
}

func (a alone) Send(r sockdiag.Request) error {
	a.most.Store(max(a.most.Load(), a.asking.Add(1)))
	defer a.asking.Add(-1)
	return a.slow.Send(r)
}

// Requests for different sockets do not share a dump; they take turns.
func TestDumpsFollowEachOther(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	var asking, most atomic.Int32
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return alone{slow{conn}, &asking, &most}, err
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		synctest.Wait() // the sampler's first dump runs, until 1 s
		const ports = 8
		var group sync.WaitGroup
		for port := range ports {
			group.Go(func() {
				following, err := c.Follow(collector.Want{}, &model.Filter{LocalPorts: []uint16{uint16(1 + port)}})
				if err != nil {
					t.Error(err)
					return
				}
				defer following.Close()
				if _, err := following.All(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if kernel.Begun() < 1+ports {
			t.Errorf("%d dumps, want the sampler's and at least one for each of %d requests", kernel.Begun(), ports)
		}
		if most.Load() != 1 {
			t.Errorf("%d asked the kernel at once, want 1", most.Load())
		}
	})
}

// Those who have one dump share what the first of them makes; who has one alone has nothing to share.
func TestReadersShare(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		made := 0
		create := func(any) any { made++; return made }
		for readers, want := range map[int]any{1: nil, 2: 1, 3: 2} {
			made = 0
			if n, ok := want.(int); ok {
				made = n - 1
			}
			busy(t, c)
			var following []*collector.Following
			for range readers {
				f, err := c.Follow(collector.Want{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				following = append(following, f)
			}
			for _, f := range following {
				if _, err := f.All(ctx); err != nil {
					t.Fatal(err)
				}
				if got := f.Shared(create); got != want {
					t.Errorf("one of %d readers shares %v, want %v", readers, got, want)
				}
			}
			for _, f := range following {
				f.Close()
			}
		}
	})
}

// What was shared is used again once nobody reads that snapshot any more.
func TestWhatWasSharedIsUsedAgain(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		// share has two readers share a name, and returns them and what the first is given of those before.
		share := func(name string) (readers [2]*collector.Following, before any) {
			busy(t, c)
			for i := range readers {
				var err error
				if readers[i], err = c.Follow(collector.Want{}, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range readers {
				if _, err := r.All(ctx); err != nil {
					t.Fatal(err)
				}
				r.Shared(func(b any) any { before = b; return name })
			}
			return readers, before
		}
		first, before := share("first")
		if before != nil {
			t.Errorf("the first are given %v", before)
		}
		first[0].Close()
		second, before := share("second")
		if before != nil {
			t.Errorf("while one still reads the first, the second are given %v", before)
		}
		first[1].Close()
		third, before := share("third")
		if before != "first" {
			t.Errorf("the third are given %v, want what the first shared", before)
		}
		for _, r := range append(second[:], third[:]...) {
			r.Close()
		}
	})
}

// What was shared of a dump that failed is not used again: who shared it may have it still.
func TestWhatWasSharedOfAFailedDump(t *testing.T) {
	few, failed := longDump(1), append(longDump(30)[:20], sockdiagtest.Done(unix.ENOMEM))
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{few}}
	run(t, pacedDial(kernel), func(error) {}, func(ctx context.Context, _ func(), c *collector.Collector) {
		time.Sleep(50 * time.Millisecond) // the sampler's first dump has ended
		for _, test := range []struct {
			shared string
			before any
			err    error
		}{{"of the failed dump", nil, unix.ENOMEM}, {"of the next", nil, nil}, {"of the one after that", "of the next", nil}} {
			busy(t, c)
			if test.err != nil {
				kernel.Dumps = append(slices.Repeat([]sockdiagtest.Dump{few}, kernel.Begun()), failed, few)
			}
			var readers [2]*collector.Following
			for i := range readers {
				var err error
				if readers[i], err = c.Follow(collector.Want{}, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range readers {
				snap, ended, err := r.Next(ctx)
				if err != nil || len(snap.Sockets) == 0 || ended != (test.err == nil) {
					t.Fatalf("%s: the first of it is an error %v, ended %t", test.shared, err, ended)
				}
				got := r.Shared(func(before any) any {
					if before != test.before {
						t.Errorf("%s: given %v of before, want %v", test.shared, before, test.before)
					}
					return test.shared
				})
				if got != test.shared {
					t.Errorf("%s: shared is %v", test.shared, got)
				}
			}
			for _, r := range readers {
				for ended, err := test.err == nil, error(nil); !ended; {
					if _, ended, err = r.Next(ctx); err != nil {
						if ended = true; !errors.Is(err, test.err) {
							t.Errorf("%s: error %v, want %v", test.shared, err, test.err)
						}
					}
				}
				r.Close()
			}
		}
	})
}

// Who no longer waits costs no dump.
func TestRequestsThatLeave(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		synctest.Wait() // the sampler's first dump runs
		why := errors.New("the client left")
		ctx, cancel := context.WithTimeoutCause(ctx, 100*time.Millisecond, why)
		defer cancel()
		if _, _, err := c.Snapshot(ctx, collector.Want{}); !errors.Is(err, why) {
			t.Errorf("error %v, want %v", err, why)
		}
		time.Sleep(1500 * time.Millisecond)
		if kernel.Begun() != 1 {
			t.Errorf("%d dumps, want the sampler's first alone", kernel.Begun())
		}
	})
}

// A dump that fails fails the requests that wait for it, and no later one.
func TestFaultPasses(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(),
		{sockdiagtest.Done(unix.ENOMEM)},
		sockdiagtest.Sockets(sockdiagtest.Payload(conversation(1, nil))),
		{sockdiagtest.Done(unix.ENOMEM)},
		sockdiagtest.Sockets(sockdiagtest.Payload(conversation(1, nil))),
	}}
	var told atomic.Int32
	run(t, kernel.Dial, func(error) { told.Add(1) }, func(ctx context.Context, _ func(), c *collector.Collector) {
		synctest.Wait() // the sampler's first dump is done
		if _, _, err := c.Snapshot(ctx, collector.Want{}); !errors.Is(err, unix.ENOMEM) {
			t.Errorf("error %v, want ENOMEM", err)
		}
		if told.Load() != 1 {
			t.Errorf("told of %d errors once the request has failed, want 1", told.Load())
		}
		if err := c.LastDump(); !errors.Is(err, unix.ENOMEM) {
			t.Errorf("last dump: %v, want ENOMEM", err)
		}
		snap, release, err := c.Snapshot(ctx, collector.Want{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.LastDump(); err != nil {
			t.Errorf("last dump: %v, want none", err)
		}
		if len(snap.Sockets) != 1 {
			t.Errorf("%d sockets, want 1", len(snap.Sockets))
		}
		release()
		time.Sleep(1500 * time.Millisecond)
		if told.Load() != 2 {
			t.Errorf("told of %d errors once a sample has failed too, want 2", told.Load())
		}
		snap, release, err = c.Snapshot(ctx, collector.Want{})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if got := snap.Known[0].Age; got != 1500*time.Millisecond {
			t.Errorf("age %v after a failed dump, want 1.5s: the history is kept", got)
		}
	})
}

// Where the processes cannot be walked, those fail who asked for owners, and
// not those who shared their dump.
func TestOwnersThatCannotBeFound(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(sockdiagtest.Payload(conversation(1, func(s *model.Socket) { s.Inode = 7 }))),
	}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		c := collector.New(collector.Options{
			Dumper: sockdiag.New(dial, clock, 1), Self: 1, Clock: clock, IDs: model.NewConnectionIDs([16]byte{}),
			Owners: owner.NewFinder("/nonexistent"),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait() // the sampler's first dump runs
		var group sync.WaitGroup
		group.Go(func() {
			if _, _, err := c.Snapshot(ctx, collector.Want{Owners: true}); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("error %v, want that there is no such directory", err)
			}
		})
		group.Go(func() {
			snap, release, err := c.Snapshot(ctx, collector.Want{})
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if len(snap.Sockets) != 1 || snap.Owner(0) != nil {
				t.Errorf("%d sockets, owner %v, want 1, none", len(snap.Sockets), snap.Owner(0))
			}
		})
		group.Wait()
		if kernel.Begun() != 2 {
			t.Errorf("%d dumps, want the sampler's and one for both", kernel.Begun())
		}
	})
}

func TestStop(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	run(t, kernel.Dial, nil, func(ctx context.Context, stop func(), c *collector.Collector) {
		stop()
		if _, _, err := c.Snapshot(ctx, collector.Want{}); !errors.Is(err, collector.ErrStopped) {
			t.Errorf("error %v, want ErrStopped", err)
		}
	})
	// The kernel is silent while a request waits.
	silent := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{{}}}
	run(t, silent.Dial, nil, func(ctx context.Context, stop func(), c *collector.Collector) {
		answered := make(chan error, 1)
		go func() {
			_, _, err := c.Snapshot(ctx, collector.Want{})
			answered <- err
		}()
		synctest.Wait()
		stop()
		if err := <-answered; !errors.Is(err, collector.ErrStopped) {
			t.Errorf("error %v, want ErrStopped", err)
		}
	})
}
