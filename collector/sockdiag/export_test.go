//go:build linux

package sockdiag

import "github.com/connectionsd/connectionsd/model"

// ReadDatagram is what a dump does with one datagram of the kernel's.
func ReadDatagram(b []byte, seq, port uint32) ([]model.Socket, error) {
	a := answer{seq: seq, port: port, join: once()}
	return a.take(datagram{bytes: b}, nil)
}
