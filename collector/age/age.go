// Package age tells how old a TCP socket is at least, from what the kernel
// says of it, and gives the clock that ages are counted by.
//
// sock_diag has no birth time. The history in package collector remembers when
// a socket was first seen; this package has the floor for one that was there
// before. It imports model.
package age

import (
	"time"

	"github.com/connectionsd/connectionsd/model"
)

// NewClock returns a monotonic clock that starts near zero. It does not follow
// the wall clock, so setting that changes no age.
func NewClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// Floor returns a time that the socket is at least old: the longer of the
// times since data was last sent and last received, which the kernel counts
// from the handshake until there is data. exact is true where there was none,
// so that the floor is the time since the handshake, to the kernel's tick.
//
// A socket that has not finished its handshake has no such times: 0, false.
func Floor(s *model.Socket) (floor time.Duration, exact bool) {
	if !s.HasTimes() || s.State == model.SynSent || s.State == model.SynRecv {
		return 0, false
	}
	ms := s.LastDataSent
	// A socket that is connected to itself passes through a simultaneous open,
	// which sets no receive time: until data came that time is not one.
	if s.RecvCount() > 0 || s.Local() != s.Remote() {
		ms = max(ms, s.LastDataRecv)
	}
	exact = s.HasBytesSent() && s.BytesSent == 0 && s.RecvCount() == 0
	return time.Duration(ms) * time.Millisecond, exact
}
