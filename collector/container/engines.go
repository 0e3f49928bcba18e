package container

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Options are what Engines are made of.
type Options struct {
	// Hosts are the sockets of engines of this host, Docker's or Podman's, such
	// as unix:///run/docker.sock.
	Hosts []string
	// Guessed is set where the hosts are only the usual places: that there is no
	// socket at some of them is then no problem, unless there is none at all.
	Guessed bool
	Log     zerolog.Logger
}

// Engines keep the List of the containers of several engines.
type Engines struct {
	guessed bool
	log     zerolog.Logger
	current atomic.Pointer[List]
	asked   chan struct{}

	mu      sync.Mutex // held for no call to an engine
	engines []*engine
}

// New returns the Engines at the hosts. They are asked once Run runs. The error
// says which host is none.
func New(o Options) (*Engines, error) { return newEngines(o, defaultLimits) }

func newEngines(o Options, l limits) (*Engines, error) {
	e := &Engines{guessed: o.Guessed, log: o.Log, asked: make(chan struct{})}
	for _, host := range o.Hosts {
		engine, err := newEngine(host, l)
		if err != nil {
			return nil, err
		}
		e.engines = append(e.engines, engine)
	}
	e.current.Store(newList())
	if len(e.engines) == 0 {
		close(e.asked)
	}
	return e, nil
}

// Run asks the engines until ctx is done. It must be called once. Whatever an
// engine does, it holds up neither another one nor those who call the methods
// below.
func (e *Engines) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, engine := range e.engines {
		all.Go(func() {
			engine.run(ctx,
				func(list []known) { e.told(engine, list) },
				func(err error) { e.failed(engine, err) })
		})
	}
}

// Current returns what the engines know now. It is never nil.
//
// Of an engine that cannot be asked the list keeps what it last told: only the
// engine itself could give a container another name, and its first answer
// afterwards replaces all that.
func (e *Engines) Current() *List { return e.current.Load() }

// Asked returns a channel that is closed once every engine was asked a first
// time, and has answered or failed: before, a name can be missing only because
// it was not waited for. That takes a few seconds at most.
func (e *Engines) Asked() <-chan struct{} { return e.asked }

// Problems says of each engine that cannot be asked now why, and what would
// help: one sentence for a person.
func (e *Engines) Problems() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	none := true // of the guesses was right
	for _, engine := range e.engines {
		none = none && engine.missing()
	}
	var problems []string
	for _, engine := range e.engines {
		switch {
		case engine.err == nil:
		case e.guessed && !none && engine.missing():
		default:
			problems = append(problems, engine.problem(engine.err))
		}
	}
	return problems
}

// told takes what an engine tells.
func (e *Engines) told(engine *engine, list []known) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(list) == maxContainers && len(engine.known) < maxContainers {
		e.log.Warn().Str("engine", engine.host).Int("kept", maxContainers).Msg("container engine has more containers than are kept; the names of the oldest are not known")
	}
	if !engine.answers() {
		engine.warned = false
		e.log.Info().Str("engine", engine.host).Int("containers", len(list)).Msg("container engine answers")
	}
	engine.known, engine.met, engine.err = list, true, nil
	e.join()
	e.tried(engine)
}

// failed takes why an engine could not be asked.
func (e *Engines) failed(engine *engine, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answered := engine.answers()
	switch {
	case !engine.warned && (engine.met || !errors.Is(err, fs.ErrNotExist)):
		engine.warned = true
		e.log.Warn().Str("engine", engine.host).Str("problem", engine.problem(err)).Msg("container engine cannot be asked; its containers keep the names they had")
	case engine.err == nil || engine.err.Error() != err.Error():
		e.log.Debug().Str("engine", engine.host).Str("problem", engine.problem(err)).Msg("container engine cannot be asked")
	}
	engine.err = err
	if answered {
		e.join()
	}
	e.tried(engine)
}

// tried notes that a session has come to something, which is told by now.
func (e *Engines) tried(engine *engine) {
	if engine.asked {
		return
	}
	engine.asked = true
	for _, other := range e.engines {
		if !other.asked {
			return
		}
	}
	close(e.asked)
}

// join makes the current list, from the engines that answer and then from the
// others: of two sockets of one engine, one can have been away for long.
func (e *Engines) join() {
	var answering, away [][]known
	for _, engine := range e.engines {
		if engine.err == nil {
			answering = append(answering, engine.known)
		} else {
			away = append(away, engine.known)
		}
	}
	e.current.Store(newList(append(answering, away...)...))
}
