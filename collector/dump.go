package collector

import "time"

// Dump is what is measured of a dump.
type Dump struct {
	// All is whether it was of all sockets, and not of those alone that somebody
	// asked for.
	All bool
	// Sockets is how many it had; nothing is to be made of them after an error.
	Sockets int
	// Took is how long it took, with what the history joined meanwhile, and
	// without owners and containers.
	Took time.Duration
	// Err is why it failed, nil if it did not.
	Err error
}
