//go:build linux

package collector_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// brief is a kernel whose dumps take some milliseconds.
type brief struct {
	sockdiag.Conn
}

func (b brief) Send(r sockdiag.Request) error {
	time.Sleep(4 * time.Millisecond)
	return b.Conn.Send(r)
}

// asks makes a snapshot, and gives it back.
func asks(ctx context.Context, c *collector.Collector) error {
	_, release, err := c.Snapshot(ctx, collector.Want{})
	if err == nil {
		release()
	}
	return err
}

// Those who ask again as soon as they have their answers, which takes them a way over the network, share dumps with those who
// came meanwhile: two groups, which would wait for each other's dumps by turns, become one.
func TestGroupsBecomeOne(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return brief{conn}, err
	}
	began := time.Now()
	clock := func() time.Duration { return time.Since(began) }
	c := collector.New(collector.Options{
		Dumper: sockdiag.New(dial, clock, 1), Owners: owner.NewFinder("/proc"), Clock: clock, IDs: model.NewConnectionIDs([16]byte{}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running, asking sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()

	if err := asks(ctx, c); err != nil { // the sampler's first dump has ended, which both groups would share the next of
		t.Fatal(err)
	}
	before := kernel.Begun()
	const groups, clients, rounds = 2, 4, 20
	for range groups {
		for range clients {
			way := echo(t)
			asking.Go(func() {
				for range rounds {
					if err := asks(ctx, c); err != nil {
						t.Error(err)
						return
					}
					if err := goAndReturn(way); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		time.Sleep(2 * time.Millisecond) // the dump for the first group runs
	}
	asking.Wait()
	// By turns it would be one for each round of each group. Where they have no processor for a while, some have one alone.
	if dumps := kernel.Begun() - before; dumps < rounds || dumps >= rounds*groups*3/4 {
		t.Errorf("%d dumps for %d rounds of %d groups, want hardly more than one for each round", dumps, rounds, groups)
	}
}

// echo returns a connection to one who sends back what comes, until the test has ended.
func echo(t *testing.T) net.Conn {
	t.Helper()
	p := connect(t, listen(t, "tcp", "127.0.0.1:0"), "tcp", "127.0.0.1")
	var echoing sync.WaitGroup
	echoing.Go(func() { _, _ = io.Copy(p.acceptor, p.acceptor) }) // until the other end is closed
	t.Cleanup(func() {
		p.opener.Close()
		echoing.Wait()
	})
	return p.opener
}

// goAndReturn sends a byte to one who echoes it, and waits for it.
func goAndReturn(way net.Conn) error {
	b := make([]byte, 1)
	if _, err := way.Write(b); err != nil {
		return err
	}
	_, err := way.Read(b)
	return err
}

// Of those who had a dump together, one who comes back alone is answered too: the others are waited for a moment, and no longer.
func TestGatheringEnds(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err // long enough for others to be waited for
	}
	run(t, dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		synctest.Wait() // the sampler's first dump runs
		var together sync.WaitGroup
		for range 8 {
			together.Go(func() {
				if err := asks(ctx, c); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		if err := asks(ctx, c); err != nil {
			t.Error(err)
		}
		if kernel.Begun() != 3 {
			t.Errorf("%d dumps, want 3: the sampler's, one for all eight, and one for the one", kernel.Begun())
		}
	})
}
