//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
)

// bareDump asks the kernel for what the daemon asks it for and throws the
// answer away: the floor under everything that reads the sockets.
type bareDump struct {
	conn   sockdiag.Conn
	buf    []byte
	states uint32
}

// dialBare returns a bareDump of what the daemon asks for: all states but
// TIME_WAIT and CLOSE.
func dialBare() (*bareDump, error) { return dialBareOf(0xfff &^ (1<<timeWait | 1<<closed)) }

// dialBareOf returns a bareDump of a set of states.
func dialBareOf(states uint32) (*bareDump, error) {
	conn, err := sockdiag.Dial()
	if err != nil {
		return nil, err
	}
	return &bareDump{conn: conn, buf: make([]byte, 64<<10), states: states}, nil
}

// TCP states of include/net/tcp_states.h.
const (
	timeWait = 6
	closed   = 7
	closing  = 11
)

func (d *bareDump) close() { d.conn.Close() }

// dump makes one dump.
func (d *bareDump) dump(ctx context.Context) error {
	const getSock = 18 // TCPDIAG_GETSOCK of include/uapi/linux/inet_diag.h
	req := nl.NewNetlinkRequest(getSock, unix.NLM_F_DUMP)
	req.AddRawData(inetDiagReq(d.states))
	if err := d.conn.Send(sockdiag.Request{Bytes: req.Serialize()}); err != nil {
		return err
	}
	for {
		n, _, err := d.conn.Receive(ctx, d.buf)
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr || n > len(d.buf) {
			return fmt.Errorf("a datagram of %d bytes", n)
		}
		// NLMSG_DONE comes in a datagram of its own, or ends the last.
		if done(d.buf[:n]) {
			return nil
		}
	}
}

// inetDiagReq is struct inet_diag_req with INET_DIAG_INFO for the sockets in
// these states.
func inetDiagReq(states uint32) []byte {
	const info = 2 // INET_DIAG_INFO
	b := make([]byte, 60)
	b[0], b[3] = unix.AF_INET, 1<<(info-1)
	binary.NativeEndian.PutUint32(b[52:], states)
	return b
}

// done reports whether the last message of a datagram ends the dump.
func done(b []byte) bool {
	for len(b) >= unix.SizeofNlMsghdr {
		size, kind := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:])
		if kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR {
			return true
		}
		if size < unix.SizeofNlMsghdr || int(size+3)&^3 > len(b) {
			return false
		}
		b = b[(size+3)&^3:]
	}
	return false
}
