//go:build linux

package collector_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// longDump is a dump of datagrams that have 100 connections each, with cookies that ascend from 1, and its end.
func longDump(datagrams int) sockdiagtest.Dump {
	var dump sockdiagtest.Dump
	for i := range datagrams {
		var payloads [][]byte
		for n := range 100 {
			payloads = append(payloads, sockdiagtest.Payload(conversation(uint64(100*i+n+1), func(s *model.Socket) {
				s.LocalIP = netip.MustParseAddr("192.0.2.1").As16()
			})))
		}
		dump = append(dump, sockdiagtest.Sockets(payloads...)[0])
	}
	return append(dump, sockdiagtest.Done(0))
}

// paced is a kernel that takes 10 ms for each datagram.
type paced struct{ sockdiag.Conn }

func (p paced) Receive(ctx context.Context, buf []byte) (int, uint32, error) {
	time.Sleep(10 * time.Millisecond)
	return p.Conn.Receive(ctx, buf)
}

func pacedDial(kernel *sockdiagtest.Kernel) func() (sockdiag.Conn, error) {
	return func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return paced{conn}, err
	}
}

// follow reads a whole snapshot as it comes: the cookies in order, and how many there were at each step.
func follow(ctx context.Context, t *testing.T, c *collector.Collector) (cookies []uint64, steps []int, err error) {
	t.Helper()
	following, err := c.Follow(collector.Want{}, nil)
	if err != nil {
		return nil, nil, err
	}
	defer following.Close()
	for ended := false; !ended; {
		var snap *model.Snapshot
		if snap, ended, err = following.Next(ctx); err != nil {
			return cookies, steps, err
		}
		if len(snap.Known) != len(snap.Sockets) {
			t.Errorf("%d sockets, of %d of which something is known", len(snap.Sockets), len(snap.Known))
		}
		for i := len(cookies); i < len(snap.Sockets); i++ {
			cookies = append(cookies, snap.Sockets[i].Cookie)
			if snap.Known[i].ID == [16]byte{} || snap.Remote(i).Port() == 0 {
				t.Errorf("socket %d is not joined yet: %+v", i, snap.Known[i])
			}
		}
		steps = append(steps, len(snap.Sockets))
	}
	return cookies, steps, nil
}

// Who follows a dump reads while it goes on, and in the end has read what a snapshot has.
func TestFollow(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets(), longDump(30)}}
	run(t, pacedDial(kernel), nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		time.Sleep(100 * time.Millisecond) // the sampler's first dump has ended
		cookies, steps, err := follow(ctx, t, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(cookies) != 3000 {
			t.Fatalf("%d sockets, want 3000", len(cookies))
		}
		for i, cookie := range cookies {
			if cookie != uint64(i+1) {
				t.Fatalf("socket %d has cookie %d", i, cookie)
			}
		}
		if len(steps) < 4 || steps[0] >= 3000 {
			t.Errorf("read in steps of %v, want several", steps)
		}
		// A snapshot of the same dump, and one who follows it with others.
		snap, release, err := c.Snapshot(ctx, collector.Want{})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if len(snap.Sockets) != 3000 {
			t.Errorf("%d sockets in the snapshot, want 3000", len(snap.Sockets))
		}
	})
}

// A short dump is there at once.
func TestFollowOfAFewSockets(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(1)}}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		cookies, steps, err := follow(ctx, t, c)
		if err != nil || len(cookies) != 100 || len(steps) != 1 {
			t.Errorf("%d sockets in steps %v, error %v, want 100 in one", len(cookies), steps, err)
		}
	})
}

// A fault comes late to who follows, and is an error all the same; the next one is right again.
func TestFollowOfADumpThatFails(t *testing.T) {
	interrupted := longDump(30)
	interrupted[20].Messages[0].Flags |= unix.NLM_F_DUMP_INTR
	early := longDump(3) // ends before anybody was told of it
	early[1].Messages[0].Flags |= unix.NLM_F_DUMP_INTR
	failed := append(longDump(30)[:20], sockdiagtest.Done(unix.ENOMEM))
	for name, test := range map[string]struct {
		dumps []sockdiagtest.Dump
		want  error
		read  bool
	}{
		"the kernel fails":                {[]sockdiagtest.Dump{failed}, unix.ENOMEM, true},
		"the kernel begins anew":          {[]sockdiagtest.Dump{interrupted, longDump(30)}, sockdiag.ErrInterrupted, true},
		"the kernel begins anew at once":  {[]sockdiagtest.Dump{early, longDump(30)}, nil, true},
		"the kernel fails from the start": {[]sockdiagtest.Dump{{sockdiagtest.Refusal(unix.EPERM)}}, unix.EPERM, false},
	} {
		t.Run(name, func(t *testing.T) {
			kernel := &sockdiagtest.Kernel{Dumps: append(append([]sockdiagtest.Dump{sockdiagtest.Sockets()}, test.dumps...), longDump(30))}
			run(t, pacedDial(kernel), func(error) {}, func(ctx context.Context, _ func(), c *collector.Collector) {
				time.Sleep(100 * time.Millisecond)
				cookies, _, err := follow(ctx, t, c)
				if !errors.Is(err, test.want) || err == nil && len(cookies) != 3000 || test.read != (len(cookies) > 0) {
					t.Errorf("%d sockets, error %v, want %v", len(cookies), err, test.want)
				}
				if cookies, _, err = follow(ctx, t, c); err != nil || len(cookies) != 3000 {
					t.Errorf("afterwards: %d sockets, error %v, want 3000", len(cookies), err)
				}
			})
		})
	}
}

// Who leaves half way holds nothing up, and what it read stays as it was until then.
func TestFollowerLeaves(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(30)}}
	run(t, pacedDial(kernel), nil, func(ctx context.Context, stop func(), c *collector.Collector) {
		for range 10 {
			following, err := c.Follow(collector.Want{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			snap, _, err := following.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if first := snap.Sockets[0].Cookie; first != 1 {
				t.Errorf("the first socket has cookie %d", first)
			}
			following.Close()
		}
		why := errors.New("the client left")
		leaving, cancel := context.WithCancelCause(ctx)
		cancel(why)
		if _, _, err := follow(leaving, t, c); !errors.Is(err, why) {
			t.Errorf("error %v, want %v", err, why)
		}
		stop()
		if _, err := c.Follow(collector.Want{}, nil); !errors.Is(err, collector.ErrStopped) {
			t.Errorf("error %v, want ErrStopped", err)
		}
	})
}

// The memory of very many sockets is given back once there are few.
func TestSnapshotsShrink(t *testing.T) {
	const many, datagrams = 20, 80 // dumps of as many datagrams, each of 100 sockets
	kernel := &sockdiagtest.Kernel{Dumps: append(slices.Repeat([]sockdiagtest.Dump{longDump(datagrams)}, many), longDump(1))}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		var before, after int
		for range many + 10 {
			snap, release, err := c.Snapshot(ctx, collector.Want{})
			if err != nil {
				t.Fatal(err)
			}
			switch len(snap.Sockets) {
			case 100 * datagrams:
				before++
			case 100:
				// The two that are kept for reuse may have been used once more.
				if after++; after > 2 && cap(snap.Sockets) > 2048 {
					t.Errorf("room for %d sockets in snapshot %d of 100", cap(snap.Sockets), after)
				}
			default:
				t.Errorf("%d sockets", len(snap.Sockets))
			}
			release()
		}
		if before == 0 || after <= 2 {
			t.Errorf("%d snapshots of many sockets and %d of few, want some of both", before, after)
		}
	})
}

// hold reads as many snapshots as there may be.
func hold(ctx context.Context, t *testing.T, c *collector.Collector) (held [2]*collector.Following) {
	t.Helper()
	for i := range held {
		var err error
		if held[i], err = c.Follow(collector.Want{}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := held[i].All(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return held
}

// There are at most two snapshots that are read at the same time. Who comes then waits, and after 10 ms the one that was
// held longest is asked back.
func TestSnapshotsAreBounded(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(1)}}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		began := time.Now()
		held := hold(ctx, t, c)
		if took := time.Since(began); took != 0 {
			t.Errorf("two snapshots took %v, want no wait", took)
		}
		go func() {
			<-held[0].Evicted().Done()
			held[0].Close()
		}()
		third, err := c.Follow(collector.Want{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := third.All(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("the third came after %v, want 10ms", took)
		}
		if held[1].Evicted().Err() != nil {
			t.Error("both were asked back")
		}
		held[1].Close()
		third.Close()
		// Whoever waits for nobody is not counted.
		for range 5 {
			if _, _, err := c.Snapshot(ctx, collector.Want{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("five more came after %v, want no wait", took)
		}
	})
}

// The sampler goes without for ten seconds while clients read as many snapshots as there may be. Then it asks for the one that was
// held longest, and no other for as long.
func TestTheSamplerAsksForRoom(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{longDump(1)}}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		held := hold(ctx, t, c)
		before, began := kernel.Begun(), time.Now()
		<-held[0].Evicted().Done()
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("the first was asked for after %v, want 10s", took)
		}
		if n := kernel.Begun() - before; n != 0 {
			t.Errorf("%d dumps were made meanwhile, want none", n)
		}
		time.Sleep(5 * time.Second)
		if held[1].Evicted().Err() != nil {
			t.Error("both were asked for")
		}
		held[0].Close()
		time.Sleep(time.Second)
		if kernel.Begun() == before {
			t.Error("no dump was made of the room that there was again")
		}
		held[1].Close()
	})
}

// Who asks for some of the sockets, one after the other, does not have the room for good: before the next of them a sample is made.
func TestTheSamplerHasItsTurn(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	run(t, kernel.Dial, nil, func(ctx context.Context, _ func(), c *collector.Collector) {
		some := func() (asked int) {
			following, err := c.Follow(collector.Want{}, &model.Filter{LocalPorts: []uint16{1}})
			if err != nil {
				t.Fatal(err)
			}
			defer following.Close()
			before := kernel.Begun()
			if _, err := following.All(ctx); err != nil {
				t.Fatal(err)
			}
			return kernel.Begun() - before
		}
		synctest.Wait() // the first sample
		alone := some()
		held := hold(ctx, t, c)
		go func() {
			time.Sleep(30 * time.Second)
			held[0].Close()
		}()
		if got, want := some(), alone+1; got != want {
			t.Errorf("the kernel was asked %d times, want %d: for all, and for some", got, want)
		}
		held[1].Close()
	})
}
