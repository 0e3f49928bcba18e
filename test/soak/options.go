//go:build linux

package main

import (
	"flag"
	"fmt"
	"time"
)

// options are the flags.
type options struct {
	daemon  string // its path
	timeout time.Duration
	short   bool

	malformed int           // requests
	slow      int           // clients
	slowFor   time.Duration // that an honest client asks beside them
	slowAgain time.Duration // after which a slow client that was closed comes again

	overload      time.Duration
	overloadPairs int     // connections that the host has meanwhile
	times         float64 // of what it can answer

	soak        time.Duration
	connections int // that pass through meanwhile

	sigterms, restarts int // how often
}

func (o *options) declare(flags *flag.FlagSet) {
	flags.StringVar(&o.daemon, "daemon", "", "`path` of the daemon (default: it is built)")
	flags.DurationVar(&o.timeout, "timeout", time.Hour, "`time` after which all is ended")
	flags.BoolVar(&o.short, "short", false, "look at what is right, in less than a minute in all: less of everything, and times are told and held against nothing")
	flags.IntVar(&o.malformed, "malformed", 14_000, "`number` of malformed requests")
	flags.IntVar(&o.slow, "slow", 10_000, "`number` of slow clients")
	flags.DurationVar(&o.slowFor, "slow-for", 20*time.Second, "`time` for which an honest client asks beside the slow ones")
	flags.DurationVar(&o.slowAgain, "slow-again", 10*time.Second, "`time` after which a slow client whose connection was closed comes again")
	flags.DurationVar(&o.overload, "overload-for", time.Minute, "`time` for which more is asked than can be answered")
	flags.IntVar(&o.overloadPairs, "overload-pairs", 3000, "`number` of connections of the host that is asked too much")
	flags.Float64Var(&o.times, "overload-times", 20, "how many times what can be answered is asked")
	flags.DurationVar(&o.soak, "soak-for", 30*time.Minute, "`time` for which connections pass through")
	flags.IntVar(&o.connections, "soak-connections", 1_000_000, "`number` of connections that pass through")
	flags.IntVar(&o.sigterms, "sigterm", 100, "`number` of times that the daemon is ended under load")
	flags.IntVar(&o.restarts, "restart", 20, "`number` of times that the daemon is killed")
}

// shorten makes less of what no flag has set, if that is wanted.
func (o *options) shorten(flags *flag.FlagSet) {
	if !o.short {
		return
	}
	var less options
	less.declare(flag.NewFlagSet("", flag.ContinueOnError))
	less.malformed = 2000
	less.slow, less.slowFor, less.slowAgain = 2000, 3*time.Second, 2*time.Second
	less.overload = 4 * time.Second
	less.soak, less.connections = 8*time.Second, 4480
	less.sigterms, less.restarts = 3, 3
	less.short = true
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "daemon":
			less.daemon = o.daemon
		case "timeout":
			less.timeout = o.timeout
		case "malformed":
			less.malformed = o.malformed
		case "slow":
			less.slow = o.slow
		case "slow-for":
			less.slowFor = o.slowFor
		case "slow-again":
			less.slowAgain = o.slowAgain
		case "overload-for":
			less.overload = o.overload
		case "overload-pairs":
			less.overloadPairs = o.overloadPairs
		case "overload-times":
			less.times = o.times
		case "soak-for":
			less.soak = o.soak
		case "soak-connections":
			less.connections = o.connections
		case "sigterm":
			less.sigterms = o.sigterms
		case "restart":
			less.restarts = o.restarts
		}
	})
	*o = less
}

// check says what is wrong with the flags.
func (o *options) check() error {
	for _, n := range []struct {
		flag     string
		is, most int
	}{
		{"malformed", o.malformed, 50_000},
		{"slow", o.slow, maxSlow},
		{"overload-pairs", o.overloadPairs, 20_000},
		{"soak-connections", o.connections, 10_000_000},
		{"sigterm", o.sigterms, 10_000},
		{"restart", o.restarts, 10_000},
	} {
		if n.is < 1 || n.is > n.most {
			return fmt.Errorf("-%s is %d, want 1 to %d", n.flag, n.is, n.most)
		}
	}
	for _, d := range []struct {
		flag  string
		is    time.Duration
		least time.Duration
	}{
		{"slow-for", o.slowFor, time.Second},
		{"slow-again", o.slowAgain, 100 * time.Millisecond},
		{"overload-for", o.overload, time.Second},
		{"soak-for", o.soak, 5 * time.Second},
		{"timeout", o.timeout, time.Second},
	} {
		if d.is < d.least || d.is > 24*time.Hour {
			return fmt.Errorf("-%s is %s, want %s to 24h", d.flag, d.is, d.least)
		}
	}
	if o.times < 1 || o.times > 1000 {
		return fmt.Errorf("-overload-times is %g, want 1 to 1000", o.times)
	}
	return nil
}
