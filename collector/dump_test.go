//go:build linux

package collector_test

import (
	"context"
	"sync"
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

// Each dump is told with how long it took, each sample with what it cost, and of a snapshot when it was made.
func TestDumpsAreObserved(t *testing.T) {
	kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets()}}
	dial := func() (sockdiag.Conn, error) {
		conn, err := kernel.Dial()
		return slow{conn}, err
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		var mu sync.Mutex
		var dumps []collector.Dump
		var samples []time.Duration
		c := collector.New(collector.Options{
			Dumper: sockdiag.New(dial, clock, 1), Owners: owner.NewFinder("/proc"), Clock: clock, IDs: model.NewConnectionIDs([16]byte{}),
			Observe:       func(d collector.Dump) { mu.Lock(); defer mu.Unlock(); dumps = append(dumps, d) },
			ObserveSample: func(cost time.Duration) { mu.Lock(); defer mu.Unlock(); samples = append(samples, cost) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait() // the first sample runs, until 1 s
		following, err := c.Follow(collector.Want{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if times := following.Times(); times != (collector.Times{}) {
			t.Errorf("before the end %+v, want no times", times)
		}
		if _, err := following.All(t.Context()); err != nil {
			t.Fatal(err)
		}
		times := following.Times()
		following.Close()
		got := []time.Duration{times.Began.Sub(began), times.Dumped.Sub(began), times.Joined.Sub(began)}
		if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second, 2 * time.Second}, got); diff != "" {
			t.Errorf("times (-want +got):\n%s", diff)
		}
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]collector.Dump{{All: true, Took: time.Second}, {All: true, Took: time.Second}}, dumps); diff != "" {
			t.Errorf("dumps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{time.Second}, samples); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
	})
}
