//go:build linux

package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// ID is by what the kernel finds one connection: struct inet_diag_sockid of
// include/uapi/linux/inet_diag.h, and the address family.
type ID struct {
	Family model.Family
	// LocalIP and RemoteIP are as in model.Socket.
	LocalIP, RemoteIP     [16]byte
	LocalPort, RemotePort uint16
	// Interface is the index of the interface that the socket is bound to, or 0.
	Interface uint32
	// Cookie is the socket's, or 0 for whichever has the addresses now.
	Cookie uint64
}

// IDOf returns the ID of a connection.
func IDOf(s *model.Socket) ID {
	return ID{
		Family: s.Family, LocalIP: s.LocalIP, RemoteIP: s.RemoteIP, LocalPort: s.LocalPort, RemotePort: s.RemotePort,
		Interface: s.Interface, Cookie: s.Cookie,
	}
}

// Lookup appends the connection that id names to dst, as it is now, or nothing
// if it is gone. It costs no walk of the tables. Without a cookie it can be the
// listening socket that would be asked to accept such a connection.
func (d *Dumper) Lookup(ctx context.Context, id ID, dst []model.Socket) ([]model.Socket, error) {
	start := len(dst)
	if err := d.open(); err != nil {
		return dst, fmt.Errorf("look up a TCP socket: %w", err)
	}
	req := nl.NewNetlinkRequest(getSock, 0)
	req.AddData(exact(id))
	dst, err := d.lookUp(ctx, req, dst)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE):
		return dst[:start], nil // nobody has the addresses any more, or another
	case err != nil:
		d.Close() // what is left of the answer cannot be taken for the next one
		return dst[:start], fmt.Errorf("look up a TCP socket: %w", err)
	}
	return dst, nil
}

func (d *Dumper) lookUp(ctx context.Context, req *nl.NetlinkRequest, dst []model.Socket) ([]model.Socket, error) {
	if err := d.conn.Send(req); err != nil {
		return dst, fmt.Errorf("send the request: %w", err)
	}
	got := d.receive(ctx, d.buffer())
	defer d.keep(got.buf)
	if got.err != nil {
		return dst, got.err
	}
	start := len(dst)
	a := answer{port: d.port, seq: req.Seq, netns: d.netns, seen: got.seen}
	dst, err := a.read(got.bytes, dst)
	if err == nil && len(dst)+a.gone != start+1 {
		err = fmt.Errorf("%w: %d sockets, want one", ErrForeign, len(dst)-start)
	}
	return dst, err
}

// exact is the request for one socket: struct inet_diag_req.
type exact ID

// Len and Serialize make exact an nl.NetlinkRequestData.
func (exact) Len() int { return sizeofRequest }

// Serialize returns family, src_len, dst_len, ext (one byte each), id (sport,
// dport, src, dst, if, cookie; 48), states (4), dbs (4).
func (id exact) Serialize() []byte {
	b := make([]byte, sizeofRequest)
	b[0] = byte(id.Family)
	b[3] = 1 << (attrInfo - 1)
	binary.BigEndian.PutUint16(b[4:], id.LocalPort)
	binary.BigEndian.PutUint16(b[6:], id.RemotePort)
	if id.Family == model.IPv4 {
		copy(b[8:24], id.LocalIP[12:])
		copy(b[24:40], id.RemoteIP[12:])
	} else {
		copy(b[8:24], id.LocalIP[:])
		copy(b[24:40], id.RemoteIP[:])
	}
	binary.NativeEndian.PutUint32(b[40:], id.Interface)
	cookie := id.Cookie
	if cookie == 0 {
		cookie = ^uint64(0) // INET_DIAG_NOCOOKIE, twice
	}
	binary.NativeEndian.PutUint32(b[44:], uint32(cookie))
	binary.NativeEndian.PutUint32(b[48:], uint32(cookie>>32))
	return b
}
