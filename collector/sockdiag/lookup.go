//go:build linux

package sockdiag

import (
	"context"
	"errors"
	"fmt"

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
	dst, err := d.lookUp(ctx, d.lookupOf(&id), dst)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE):
		return dst[:start], nil // nobody has the addresses any more, or another
	case err != nil:
		d.Close() // what is left of the answer cannot be taken for the next one
		return dst[:start], fmt.Errorf("look up a TCP socket: %w", err)
	}
	return dst, nil
}

func (d *Dumper) lookUp(ctx context.Context, r Request, dst []model.Socket) ([]model.Socket, error) {
	if err := d.send(r); err != nil {
		return dst, err
	}
	got := d.receive(ctx, d.buffer())
	defer d.keep(got.buf)
	if got.err != nil {
		return dst, got.err
	}
	start := len(dst)
	a := answer{port: d.port, seq: r.Seq(), netns: d.netns, seen: got.seen}
	dst, err := a.read(got.bytes, dst)
	if err == nil && len(dst)+a.gone != start+1 {
		err = fmt.Errorf("%w: %d sockets, want one", ErrForeign, len(dst)-start)
	}
	return dst, err
}
