package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/rpc"
)

// degradations are what the daemon does without: what was found at its start
// and, of its settings, when they were read last, and the container engines
// that do not answer now.
type degradations struct {
	mu      sync.Mutex // of found
	found   []rpc.Degradation
	engines func() []string // nil: none are asked
}

func (d *degradations) add(feature, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = append(d.found, rpc.Degradation{Feature: feature, Reason: reason})
}

// set makes reason the only one for which a feature is lacking, or lets it not be lacking any more if that is "".
func (d *degradations) set(feature, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = slices.DeleteFunc(d.found, func(known rpc.Degradation) bool { return known.Feature == feature })
	if reason != "" {
		d.found = append(d.found, rpc.Degradation{Feature: feature, Reason: reason})
	}
}

// list returns what the daemon does without now.
func (d *degradations) list() []rpc.Degradation {
	d.mu.Lock()
	all := append([]rpc.Degradation(nil), d.found...)
	d.mu.Unlock()
	if d.engines != nil {
		for _, problem := range d.engines() {
			all = append(all, rpc.Degradation{Feature: "containers", Reason: problem})
		}
	}
	return all
}

// probe finds out once what this process must do without, and says it.
func probe(cfg Config, log zerolog.Logger) (*degradations, error) {
	type check struct {
		feature, effect string
		privilege       func() error
	}
	checks := []check{
		{"owners", "the owners of other users' sockets are left out: run as root or grant the missing capabilities", owner.CheckPrivilege},
		{"containers", "containers are told by their processes alone: run as root or grant the missing capabilities", container.CheckPrivilege},
	}
	if cfg.NetNS != (collector.NetNS{}) {
		checks = append(checks, check{
			"netns", "other network namespaces are left out: run as root or grant the missing capabilities", netns.CheckPrivilege,
		})
	}
	degraded := new(degradations)
	for _, c := range checks {
		err := c.privilege()
		var missing *capability.MissingError
		switch {
		case err == nil:
		case errors.As(err, &missing):
			log.Warn().Str("feature", c.feature).Strs("missing", missing.Names).Str("effect", c.effect).Msg("a privilege is missing")
			degraded.add(c.feature, missing.Error())
		default:
			return nil, err
		}
	}
	if name := cfg.NetNS.Name; name != "" {
		if _, err := os.Stat(filepath.Join(netns.RunDir, name)); err != nil {
			log.Warn().Str("feature", "netns").Str("name", name).Err(err).Msg("there is no network namespace of this name now: there are no connections until there is")
			degraded.add("netns", "there was no network namespace named "+name+" at the start")
		}
	}
	return degraded, nil
}
