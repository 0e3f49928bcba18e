//go:build linux

// Package sockdiagtest stands in for the kernel's sock_diag at the level of
// netlink messages, for the answers that a real kernel does not give on demand.
//
// Only tests import it. It imports model and sockdiag.
package sockdiagtest

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
)

// GetSock is the type of the messages that carry a socket (TCPDIAG_GETSOCK).
const GetSock = 18

// Port is the netlink port of the double's sockets.
const Port = 4242

// Message is one netlink message. The sequence and port are those of the
// request, unless Seq or Port says something else.
type Message struct {
	Type, Flags uint16
	Seq, Port   uint32
	Payload     []byte
}

// Datagram is what one receive returns.
type Datagram struct {
	Messages []Message
	// From is the netlink port that sends it; 0 is the kernel.
	From uint32
	// Cut, if positive, is how many bytes are taken off the end.
	Cut int
	// Whole, if positive, is the length that is reported instead of the true one.
	Whole int
	// Err, if set, is returned instead.
	Err error
}

// Dump is the answer to one request.
type Dump []Datagram

// Sockets returns the dump of the given messages' payloads, ended properly.
func Sockets(payloads ...[]byte) Dump {
	var d Datagram
	for _, p := range payloads {
		d.Messages = append(d.Messages, Message{Type: GetSock, Flags: unix.NLM_F_MULTI, Payload: p})
	}
	if len(payloads) == 0 {
		return Dump{Done(0)}
	}
	return Dump{d, Done(0)}
}

// Done returns the datagram that ends a dump, with the errno (positive) that
// it failed with, or 0.
func Done(errno unix.Errno) Datagram {
	return Datagram{Messages: []Message{{Type: unix.NLMSG_DONE, Flags: unix.NLM_F_MULTI, Payload: negative(errno)}}}
}

// Refusal returns the datagram of a request that was refused.
func Refusal(errno unix.Errno) Datagram {
	return Datagram{Messages: []Message{{Type: unix.NLMSG_ERROR, Payload: negative(errno)}}}
}

func negative(errno unix.Errno) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
}

// Kernel answers each dump that is begun with the next of Dumps, and further
// ones with the last.
type Kernel struct {
	Dumps []Dump
	// Answer, if set, says what a request is answered with in place of that. It is
	// called by one at a time.
	Answer func(sockdiag.Request) Dump
	// DialErr, if set, is returned by Dial.
	DialErr error

	mu     sync.Mutex
	begun  int
	dialed int
	open   int
}

// Show makes dump the answer from now on.
func (k *Kernel) Show(dump Dump) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Dumps = []Dump{dump}
}

// Begun returns how many dumps were begun.
func (k *Kernel) Begun() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun
}

// Dialed returns how many sockets were opened.
func (k *Kernel) Dialed() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dialed
}

// Open returns how many sockets were not closed.
func (k *Kernel) Open() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open
}

// Dial is to be given to sockdiag.New.
func (k *Kernel) Dial() (sockdiag.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.DialErr != nil {
		return nil, k.DialErr
	}
	k.dialed++
	k.open++
	return &conn{kernel: k}, nil
}

type conn struct {
	kernel *Kernel
	answer Dump
	seq    uint32
}

func (c *conn) Send(r sockdiag.Request) error {
	k := c.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.Answer != nil:
		c.answer = append(c.answer, k.Answer(r)...)
	case len(k.Dumps) == 0:
		return errors.New("sockdiagtest: no dump is prepared")
	default:
		c.answer = append(c.answer, k.Dumps[min(k.begun, len(k.Dumps)-1)]...)
	}
	c.seq = r.Seq()
	k.begun++
	return nil
}

func (c *conn) Port() (uint32, error) { return Port, nil }

func (c *conn) Close() {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	c.kernel.open--
}

func (c *conn) Receive(ctx context.Context, buf []byte) (int, uint32, error) {
	if len(c.answer) == 0 { // a kernel that is silent: the real one waits, and so does this
		<-ctx.Done()
		return 0, 0, context.Cause(ctx)
	}
	d := c.answer[0]
	c.answer = c.answer[1:]
	if d.Err != nil {
		return 0, 0, d.Err
	}
	b := d.Bytes(c.seq)
	copy(buf, b)
	return max(len(b), d.Whole), d.From, nil
}

// Bytes is the datagram that answers the request seq: struct nlmsghdr and payload, one after the other.
func (d Datagram) Bytes(seq uint32) []byte {
	var b []byte
	for _, m := range d.Messages {
		port := uint32(Port)
		if m.Port != 0 {
			port = m.Port
		}
		if m.Seq != 0 {
			seq = m.Seq
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(m.Payload)))
		b = binary.NativeEndian.AppendUint16(b, m.Type)
		b = binary.NativeEndian.AppendUint16(b, m.Flags)
		b = binary.NativeEndian.AppendUint32(b, seq)
		b = binary.NativeEndian.AppendUint32(b, port)
		b = pad(append(b, m.Payload...))
	}
	return b[:len(b)-d.Cut]
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
