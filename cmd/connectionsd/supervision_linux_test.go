package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// A fakeCollector makes a dump for each request, or fails, or hangs.
type fakeCollector struct {
	supervision *supervision
	asked       int
	err         error
	hangs       atomic.Bool
}

func (f *fakeCollector) Snapshot(ctx context.Context, _ collector.Want) (*model.Snapshot, func(), error) {
	f.asked++
	if f.hangs.Load() {
		<-ctx.Done()
		return nil, nil, context.Cause(ctx)
	}
	if f.err != nil {
		return nil, nil, f.err
	}
	f.supervision.dumped()
	return new(model.Snapshot), func() {}, nil
}

// supervised runs a supervision with a watchdog of ten seconds while f runs, and returns what systemd was told, at which
// second.
func supervised(t *testing.T, host *fakeCollector, f func(s *supervision)) (told []string, at []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &supervision{
			notify: func(state string) error {
				told, at = append(told, state), append(at, int(time.Since(began)/time.Second))
				return nil
			},
			watchdog: 10 * time.Second, log: zerolog.New(io.Discard), first: make(chan struct{}, 1),
		}
		host.supervision = s
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.run(ctx, host); close(done) }()
		f(s)
		cancel()
		<-done
	})
	return told, at
}

const (
	ready    = "READY=1"
	life     = "WATCHDOG=1"
	stopping = "STOPPING=1"
)

func check(t *testing.T, told []string, at []int, wantTold []string, wantAt []int) {
	t.Helper()
	if !slices.Equal(told, wantTold) || !slices.Equal(at, wantAt) {
		t.Errorf("systemd was told %q at %v, want %q at %v", told, at, wantTold, wantAt)
	}
}

// It is ready after the first dump, once, and as long as dumps are made systemd hears of it in time.
func TestSupervision(t *testing.T) {
	host := new(fakeCollector)
	told, at := supervised(t, host, func(s *supervision) {
		time.Sleep(time.Second)
		s.dumped()
		time.Sleep(3 * time.Second)
		s.dumped()
		time.Sleep(3 * time.Second) // 7 s
		s.dumped()
		time.Sleep(4 * time.Second) // 11 s
	})
	check(t, told, at, []string{ready, life, life, stopping}, []int{1, 5, 10, 11})
	if host.asked != 0 {
		t.Errorf("%d dumps were asked for, want none where there are some", host.asked)
	}
}

// Where the sampler makes none for long, one is asked for.
func TestSupervisionAsks(t *testing.T) {
	host := new(fakeCollector)
	told, at := supervised(t, host, func(s *supervision) {
		s.dumped()
		time.Sleep(16 * time.Second)
	})
	check(t, told, at, []string{ready, life, life, life, stopping}, []int{0, 5, 10, 15, 16})
	if host.asked != 2 {
		t.Errorf("%d dumps were asked for, want 2", host.asked)
	}
}

// Where dumps fail or hang systemd hears nothing, until they are made again.
func TestSupervisionOfADeadCollector(t *testing.T) {
	failing := &fakeCollector{err: errors.New("no kernel")}
	told, at := supervised(t, failing, func(*supervision) { time.Sleep(21 * time.Second) })
	check(t, told, at, []string{stopping}, []int{21})
	if failing.asked != 4 {
		t.Errorf("%d dumps were asked for, want one every 5 s", failing.asked)
	}

	hanging := new(fakeCollector)
	hanging.hangs.Store(true)
	told, at = supervised(t, hanging, func(s *supervision) {
		s.dumped()
		time.Sleep(23 * time.Second)
		hanging.hangs.Store(false)
		time.Sleep(3 * time.Second)
	})
	check(t, told, at, []string{ready, life, life, stopping}, []int{0, 5, 25, 26})
}

// Without a watchdog nothing is told but readiness and the end.
func TestSupervisionWithoutWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := &supervision{
			notify: func(state string) error { told = append(told, state); return errors.New("nobody there") },
			log:    zerolog.New(io.Discard), first: make(chan struct{}, 1),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.run(ctx, nil); close(done) }()
		s.dumped()
		time.Sleep(time.Hour)
		cancel()
		<-done
		if want := []string{ready, stopping}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}
