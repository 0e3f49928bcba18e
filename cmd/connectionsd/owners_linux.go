package main

import (
	"fmt"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
)

// owners is what finds the owners of sockets.
type owners struct {
	finder collector.OwnerFinder // nil: the collector's own walk of /proc
	close  func()
}

// openOwners opens what mode asks for. Where BPF cannot be had, auto goes
// without and says it once.
func openOwners(mode bpfMode, degraded *degradations, log zerolog.Logger) (owners, error) {
	without := owners{close: func() {}}
	if mode == bpfOff {
		return without, nil
	}
	iterator, err := owner.OpenIterator()
	switch {
	case err == nil:
		return owners{finder: iterator, close: func() {
			if err := iterator.Close(); err != nil {
				log.Warn().Err(err).Msg("unload the BPF program failed")
			}
		}}, nil
	case mode == bpfOn:
		return owners{}, fmt.Errorf("--bpf on: %w", err)
	default:
		log.Warn().Str("feature", "bpf").Err(err).Msg("the owners of sockets are found by a walk of /proc, which takes longer")
		degraded.add("bpf", err.Error())
		return without, nil
	}
}
