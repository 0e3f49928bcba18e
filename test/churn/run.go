//go:build linux

package churn

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options say what is done.
type Options struct {
	// Daemon is the path of the daemon, and Flags are those of its serve besides
	// its own port, namespace and log.
	Daemon string
	Flags  []string
	// Buckets is how many the hash table of connections has, a power of two; 0 is
	// that of the host.
	Buckets int
	// Holders is how many processes hold ends, at least 2.
	Holders int
	// Rate is how many connections are opened a second, and as many closed.
	Rate int
	// Held is how many are kept, whose listener is closed before the daemon
	// starts.
	Held int
	// Requests is how many are made, one after the other.
	Requests int
	// Seed makes one run differ from another.
	Seed uint64
}

// Report is what came of a run.
type Report struct {
	// Buckets is how many there were, 0 if the kernel does not tell.
	Buckets int
	// Requests were made within Took, in which connections were Opened and Closed.
	Requests       int
	Took           time.Duration
	Opened, Closed int
	// Records is how many all answers had, and Ends how many of the sockets were
	// certainly there, with the owner and the direction that they should have.
	Records, Ends int
	// Slowest is the longest that a request took.
	Slowest time.Duration
	// Counts is how many findings there are of each kind, and Wrong how many
	// answers have one. Findings are the first of each kind.
	Counts   map[Kind]int
	Wrong    int
	Findings []Finding
	// ByQuery is how many findings there are of each kind, by what was asked.
	ByQuery map[string]map[Kind]int
	// Log is what the daemon said.
	Log string
}

// maxFindings is how many of a kind are kept.
const maxFindings = 10

// Rate returns how many connections were opened a second.
func (r *Report) Rate() float64 { return float64(r.Opened) / r.Took.Seconds() }

func (r *Report) String() string {
	return fmt.Sprintf("%d buckets, %d requests in %v (the slowest %v), %.0f connections/s opened and %.0f closed; %d records, %d ends lived through a request; %d answers are wrong: %v",
		r.Buckets, r.Requests, r.Took.Round(time.Millisecond), r.Slowest.Round(time.Millisecond), r.Rate(), float64(r.Closed)/r.Took.Seconds(),
		r.Records, r.Ends, r.Wrong, r.Counts)
}

func (r *Report) add(a *answer, findings []Finding, lived int) {
	r.Requests++
	r.Records += len(a.records)
	r.Ends += lived
	r.Slowest = max(r.Slowest, a.to.sub(a.from))
	if len(findings) > 0 {
		r.Wrong++
	}
	for _, f := range findings {
		if r.Counts[f.Kind]++; r.Counts[f.Kind] <= maxFindings {
			r.Findings = append(r.Findings, f)
		}
		if r.ByQuery[f.Query] == nil {
			r.ByQuery[f.Query] = make(map[Kind]int)
		}
		r.ByQuery[f.Query][f.Kind]++
	}
}

// check says what is wrong with the options.
func (o *Options) check() error {
	switch {
	case o.Daemon == "":
		return errors.New("no path of the daemon")
	case o.Buckets < 0 || o.Buckets&(o.Buckets-1) != 0:
		return fmt.Errorf("%d buckets, want a power of two, or 0 for those of the host", o.Buckets)
	case o.Holders < 2:
		return fmt.Errorf("%d holders, want at least 2", o.Holders)
	case o.Rate < 0 || o.Held < 0 || o.Requests < 0:
		return fmt.Errorf("a rate of %d, %d held, %d requests: want none below 0", o.Rate, o.Held, o.Requests)
	}
	return nil
}

// Run opens and closes connections, asks the daemon meanwhile, and holds its
// answers against what is true. The program must begin with IsHolder.
//
// The report has what is wrong with the answers. The error is what kept them
// from being compared; it wraps ErrNoBuckets where the kernel or the privilege of
// the process does not allow the namespace that is wanted.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	n, err := newNamespace(o.Buckets)
	if err != nil {
		return nil, err
	}
	defer n.close()
	t := newTruth(o.Holders)
	holdings, err := startHolders(ctx, n, t, o)
	defer func() {
		for _, h := range holdings {
			err = errors.Join(err, h.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := t.wait(ctx, func() bool { return t.ready == o.Holders }); err != nil {
		return nil, err
	}
	d, err := startDaemon(ctx, n, o.Daemon, o.Flags...)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, d.close())
		log := d.log.String()
		if r != nil {
			r.Log = log
		}
		if err != nil && log != "" {
			err = fmt.Errorf("%w; the daemon said: %s", err, log)
		}
	}()
	c, err := dial(ctx, n, d)
	if err != nil {
		return nil, err
	}
	defer c.close()
	r = &Report{Buckets: n.buckets, Counts: make(map[Kind]int), ByQuery: make(map[string]map[Kind]int)}
	return r, ask(ctx, o, t, c, holdings, r)
}

// startHolders starts the holders, and has each open connections to the next one.
func startHolders(ctx context.Context, n *namespace, t *truth, o Options) (started []*holding, err error) {
	for k := range o.Holders {
		h, err := startHolder(ctx, n, fmt.Sprintf("holder-%d", k))
		if err != nil {
			for _, h := range started {
				close(h.done) // nobody follows it
			}
			return started, err
		}
		started = append(started, h)
	}
	for k, h := range started {
		go h.follow(t, k)
	}
	share := func(of, k int) int { return of/o.Holders + min(1, max(0, of%o.Holders-k)) }
	for k, h := range started {
		next := (k + 1) % o.Holders
		before := (k + o.Holders - 1) % o.Holders
		err = errors.Join(err, h.tell.Encode(orders{
			Seed: o.Seed + uint64(k), Peer: started[next].targets, Rate: share(o.Rate, k), Held: share(o.Held, k), Accept: share(o.Held, before),
		}))
	}
	return started, err
}

// ask begins the churn, makes the requests and ends the churn.
func ask(ctx context.Context, o Options, t *truth, c *client, holdings []*holding, r *Report) (err error) {
	began := now()
	opened, _ := t.numbers()
	defer func() {
		r.Took = now().sub(began)
		r.Opened, r.Closed = t.numbers()
		r.Opened -= opened
		// None is to end while another still opens connections to it.
		err = errors.Join(err, tell(holdings, false), t.wait(ctx, func() bool { return t.stopped == len(holdings) }))
	}()
	if err := tell(holdings, true); err != nil {
		return err
	}
	all := queries(holdings[0].targets)
	for i := range o.Requests {
		a, err := c.ask(ctx, all[i%len(all)], i)
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if err := t.wait(ctx, func() bool { return t.knows(a.to) }); err != nil {
			return err
		}
		findings, lived, err := t.check(a)
		if err != nil {
			return err
		}
		r.add(a, findings, lived)
	}
	return nil
}

// tell has the holders open connections, or open no more.
func tell(holdings []*holding, churn bool) (err error) {
	for _, h := range holdings {
		err = errors.Join(err, h.tell.Encode(churn))
	}
	return err
}
