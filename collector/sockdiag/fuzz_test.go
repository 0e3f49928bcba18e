//go:build linux

package sockdiag_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// FuzzDatagram holds that a datagram of any bytes gives sockets or an error
// that says what is wrong, without one each cookie at most once, and no more sockets than
// fit into it.
func FuzzDatagram(f *testing.F) {
	const seq = 7
	for _, d := range []sockdiagtest.Datagram{
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(1)), sockdiagtest.Payload(socket(2)))[0],
		sockdiagtest.Sockets(sockdiagtest.Payload(cutInfo(socket(1), 104)), sockdiagtest.Payload(socket(1)))[0],
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(3), sockdiagtest.Attribute{Type: 11, Value: []byte{1}}))[0],
		sockdiagtest.Done(0),
		sockdiagtest.Done(unix.ENOMEM),
		sockdiagtest.Refusal(unix.EPERM),
		{Messages: []sockdiagtest.Message{{Type: unix.NLMSG_NOOP}, {Type: unix.NLMSG_DONE}}},
	} {
		b := d.Bytes(seq)
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sockets, err := sockdiag.ReadDatagram(b, seq, sockdiagtest.Port)
		if len(sockets) > len(b)/(unix.SizeofNlMsghdr+72) {
			t.Errorf("%d sockets out of %d bytes", len(sockets), len(b))
		}
		seen := make(map[uint64]bool)
		for _, s := range sockets {
			if seen[s.Cookie] && err == nil { // after an error nobody looks at them
				t.Errorf("cookie %d twice", s.Cookie)
			}
			seen[s.Cookie] = true
			if s.Family != model.IPv4 && s.Family != model.IPv6 {
				t.Errorf("address family %d", s.Family)
			}
		}
		var errno unix.Errno
		if err != nil && !errors.Is(err, sockdiag.ErrMalformed) && !errors.Is(err, sockdiag.ErrTruncated) &&
			!errors.Is(err, sockdiag.ErrForeign) && !errors.Is(err, sockdiag.ErrInterrupted) && !errors.As(err, &errno) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
