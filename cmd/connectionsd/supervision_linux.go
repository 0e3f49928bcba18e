package main

import (
	"context"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// snapshotter makes dumps on request: a Collector, or a test's own.
type snapshotter interface {
	Snapshot(ctx context.Context, want collector.Want) (*model.Snapshot, func(), error)
}

// supervision tells systemd how the daemon is (sd_notify(3)): that it is ready once it listens and the kernel has answered
// a first dump, that it lives as long as dumps are made, and that it stops. Without systemd it tells nobody.
type supervision struct {
	notify   func(state string) error
	watchdog time.Duration // how long systemd waits for a sign of life; 0: for ever
	log      zerolog.Logger

	dumps atomic.Uint64 // that have ended well
	first chan struct{} // has an element once the first has
	ready atomic.Bool   // systemd has been told that the daemon is
}

// newSupervision returns the supervision that the environment of this process asks for.
func newSupervision(log zerolog.Logger) (*supervision, error) {
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return nil, err
	}
	notify := func(state string) error {
		_, err := systemd.SdNotify(false, state)
		return err
	}
	return &supervision{notify: notify, watchdog: watchdog, log: log, first: make(chan struct{}, 1)}, nil
}

// dumped is told of each dump that ended well. It does not wait.
func (s *supervision) dumped() {
	if s.dumps.Add(1) == 1 {
		s.first <- struct{}{}
	}
}

// run tells of readiness and life until ctx is done, and then that the daemon stops.
func (s *supervision) run(ctx context.Context, host snapshotter) {
	var ticks <-chan time.Time
	if s.watchdog > 0 {
		ticker := time.NewTicker(s.watchdog / 2) // as sd_watchdog_enabled(3) recommends
		defer ticker.Stop()
		ticks = ticker.C
	}
	var told uint64 // the dumps at the last sign of life
	for {
		select {
		case <-ctx.Done():
			s.tell(systemd.SdNotifyStopping)
			return
		case <-s.first:
			s.ready.Store(true)
			s.tell(systemd.SdNotifyReady)
		case <-ticks:
			if s.dumps.Load() == told {
				s.tryDump(ctx, host)
			}
			if made := s.dumps.Load(); made != told {
				told = made
				s.tell(systemd.SdNotifyWatchdog)
			}
		}
	}
}

// reloading tells that the settings are read again, and the function that it returns that this is over: what Type=notify-reload
// waits for. Before the daemon is ready there is nothing to tell.
func (s *supervision) reloading() (over func()) {
	if !s.ready.Load() {
		return func() {}
	}
	s.tell(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
	return func() { s.tell(systemd.SdNotifyReady) }
}

// tryDump asks for a dump, as a client would. The sampler makes none while slow clients read as many snapshots as there
// may be, and few where a dump takes long: neither is a fault.
func (s *supervision) tryDump(ctx context.Context, host snapshotter) {
	ctx, cancel := context.WithTimeout(ctx, s.watchdog/4)
	defer cancel()
	_, release, err := host.Snapshot(ctx, collector.Want{})
	if err != nil {
		if ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded {
			s.log.Error().Err(err).Msg("no dump was made: systemd is told of no life")
		}
		return
	}
	release()
}

func (s *supervision) tell(state string) {
	if err := s.notify(state); err != nil {
		s.log.Warn().Err(err).Str("state", state).Msg("tell systemd failed")
	}
}
