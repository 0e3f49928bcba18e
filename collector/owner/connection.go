//go:build linux

package owner

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	"github.com/connectionsd/connectionsd/model"
)

// ErrNoConnections is the error of Connections where it cannot be told which
// connections a process holds without a dump of all sockets.
var ErrNoConnections = errors.New("the connections of one process cannot be told")

// Connection is a TCP connection that a process holds: what it takes to look it
// up. The members are those of model.Socket.
type Connection struct {
	Inode, NetNS, Interface uint32
	Family                  model.Family
	LocalIP, RemoteIP       [16]byte
	LocalPort, RemotePort   uint16
}

// TellsConnections reports whether Connections can tell them.
func (it *Iterator) TellsConnections() bool { return !it.noConnections }

// Connections appends the connections that a process holds to dst, one for each
// descriptor. One that has left has none. The error is ErrNoConnections where
// they cannot be told: the kernel is older than Linux 6.1, or one is of MPTCP.
func (it *Iterator) Connections(ctx context.Context, pid int32, dst []Connection) ([]Connection, error) {
	start := len(dst)
	held, err := it.connections(ctx, pid, nil)
	if errors.Is(err, taskfile.ErrNoConnections) {
		it.noConnections = true
		return dst, ErrNoConnections
	}
	if err != nil {
		return dst, err
	}
	for _, h := range held {
		if h.Protocol != unix.IPPROTO_TCP {
			return dst[:start], ErrNoConnections // the subflows of MPTCP are nobody's descriptors
		}
		c := Connection{
			Inode: h.Inode, NetNS: h.NetNS, Interface: h.Interface, Family: model.Family(h.Family),
			LocalIP: h.Local, RemoteIP: h.Remote, LocalPort: h.LocalPort, RemotePort: binary.BigEndian.Uint16(h.RemotePort[:]),
		}
		if c.Family == model.IPv4 {
			c.LocalIP, c.RemoteIP = mapped(h.Local), mapped(h.Remote)
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// mapped is the IPv4-mapped address of the one that ip begins with.
func mapped(ip [16]byte) (m [16]byte) {
	m[10], m[11] = 0xff, 0xff
	copy(m[12:], ip[:4])
	return m
}

// TellsConnections returns false: /proc tells of a descriptor that it is a
// socket, and nothing of what it is connected to.
func (f *Finder) TellsConnections() bool { return false }

// Connections returns ErrNoConnections.
func (f *Finder) Connections(_ context.Context, _ int32, dst []Connection) ([]Connection, error) {
	return dst, ErrNoConnections
}
