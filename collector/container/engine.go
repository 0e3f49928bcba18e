package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// engine is one socket that Docker or Podman is asked at.
type engine struct {
	host   string // as it was given
	path   string // of the socket
	name   string // docker or podman
	limits limits

	// What follows is guarded by Engines.mu.

	known  []known // as it was last told
	asked  bool    // whether it was tried once
	met    bool    // whether it ever answered
	err    error   // why it cannot be asked now, if asked
	warned bool    // whether its failure stands in the log
}

// answers reports whether the engine could be asked the last time.
func (e *engine) answers() bool { return e.asked && e.err == nil }

// missing reports whether there never was an engine, as far as is known.
func (e *engine) missing() bool { return !e.met && errors.Is(e.err, fs.ErrNotExist) }

// limits are how fast an engine is asked, and how much of an answer is read.
type limits struct {
	// call is how long a call may take.
	call time.Duration
	// answer is how long one answer, and one event, may be, in bytes.
	answer int64
	// check is how long the engine may be silent before it is asked whether it
	// is there: a frozen one keeps its connections open.
	check time.Duration
	// again and againMax are the first and the longest pause before the next
	// session.
	again, againMax time.Duration
	// settle is how long after an event the list is asked for, so that one
	// answers many events.
	settle time.Duration
	// share and gapMax are the pause between two lists: share times as long as
	// the last took, and never longer than gapMax.
	share  int
	gapMax time.Duration
}

// defaultLimits show a change within 0.2 s as a rule, and within 0.5 s and the
// time that a list takes where they come all the time; an engine that is back
// within a second. Where containers come and go all the time, an engine spends
// a fifth of one core on the lists, or two lists a second.
var defaultLimits = limits{
	call:     2 * time.Second,
	answer:   32 << 20, // a thousand containers with plenty of labels are a tenth of it
	check:    3 * time.Second,
	again:    100 * time.Millisecond,
	againMax: time.Second,
	settle:   100 * time.Millisecond,
	share:    4,
	gapMax:   500 * time.Millisecond,
}

// maxPath is how long the path of a socket can be (sun_path of unix(7), which
// ends in NUL).
const maxPath = 107

// newEngine reads the address of an engine.
func newEngine(host string, l limits) (*engine, error) {
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok || !filepath.IsAbs(path) || len(path) > maxPath {
		return nil, fmt.Errorf("engine %q: want the socket of an engine of this host, such as unix:///run/docker.sock, in at most %d bytes", host, maxPath)
	}
	name := docker
	if strings.Contains(path, podman) {
		name = podman
	}
	return &engine{host: host, path: path, name: name, limits: l}, nil
}

// told is what a session has to say: the containers that the engine has now.
type told func([]known)

// run keeps up a session until ctx is done, then returns. It says why of a
// session that told nothing, and of one whose engine is silent.
//
// The end of another is no failure yet: the next one tells. An engine behind a
// proxy that ends long connections is back at once.
func (e *engine) run(ctx context.Context, told told, failed func(error)) {
	pause := e.limits.again
	for {
		began := time.Now()
		worked := false
		err := e.session(ctx, func(list []known) {
			worked = true
			told(list)
		})
		if ctx.Err() != nil {
			return
		}
		if !worked || errors.Is(err, context.DeadlineExceeded) {
			failed(err)
		}
		if worked && time.Since(began) > e.limits.againMax {
			pause = e.limits.again
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, e.limits.againMax)
	}
}

// errEnded is the end of the stream of events.
var errEnded = errors.New("it ended the connection")

// session listens to the engine and tells its containers whenever they change.
// It returns why that cannot go on.
func (e *engine) session(ctx context.Context, told told) error {
	if _, err := os.Stat(e.path); err != nil {
		return err
	}
	a, err := openAPI(e.host, e.path, e.limits)
	if err != nil {
		return err
	}
	if err := a.negotiate(ctx); err != nil {
		return err
	}
	s, err := a.events(ctx) // before the list: what happens meanwhile is in one of them
	if err != nil {
		return err
	}
	defer s.close()

	changes := changes()
	list := time.NewTimer(0)
	defer list.Stop()
	listing := true // the timer runs
	var notBefore time.Time
	check := time.NewTimer(e.limits.check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.failed:
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errEnded
			}
			return err
		case m := <-s.events:
			s.heard()
			check.Reset(e.limits.check)
			if !listing && slices.Contains(changes, string(m.Action)) {
				listing = true
				list.Reset(max(e.limits.settle, time.Until(notBefore)))
			}
		case <-list.C:
			listing = false
			began := time.Now()
			containers, err := a.list(ctx)
			if err != nil {
				return err
			}
			took := time.Since(began)
			notBefore = time.Now().Add(min(time.Duration(e.limits.share)*took, e.limits.gapMax))
			check.Reset(e.limits.check)
			told(containers)
		case <-check.C:
			if err := a.check(ctx); err != nil {
				return err
			}
			check.Reset(e.limits.check)
		}
	}
}
