//go:build linux

package sockdiag

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// inTurns is how many datagrams are received and parsed by turns before the
// two overlap. A host of a hundred sockets has no more, and what it costs to
// start a goroutine and to hand over is more than what that would win.
const inTurns = 2

// ahead is how many datagrams can have been received and not yet been parsed.
const ahead = 8

// datagram is what one receive brought.
type datagram struct {
	bytes []byte
	buf   []byte // of which bytes is the beginning
	seen  time.Duration
	err   error
}

func (d *Dumper) receive(ctx context.Context, buf []byte) datagram {
	n, from, err := d.conn.Receive(ctx, buf)
	switch {
	case err != nil:
		err = fmt.Errorf("receive: %w", err)
	case n > len(buf):
		err = fmt.Errorf("%w: a datagram of %d bytes, where the buffer has %d", ErrTruncated, n, len(buf))
	case from != 0:
		err = fmt.Errorf("%w: it comes from netlink port %d, not from the kernel", ErrForeign, from)
	}
	if err != nil {
		return datagram{buf: buf, err: err}
	}
	return datagram{bytes: buf[:n], buf: buf, seen: d.clock()}
}

// overlap reads the rest of an answer. One goroutine receives, which is where
// the kernel makes the dump and most of the time goes; meanwhile this one
// parses and joins what has come, which so costs no time of its own where there
// is a second core (BenchmarkSnapshot).
func (d *Dumper) overlap(ctx context.Context, a *answer, dst []model.Socket) ([]model.Socket, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	received := make(chan datagram, ahead-2) // one more is with each of the two
	var receiver sync.WaitGroup
	receiver.Go(func() {
		defer close(received)
		for last := false; !last; {
			g := d.receive(ctx, d.buffer())
			last = g.err != nil || ends(g.bytes)
			received <- g
		}
	})
	defer receiver.Wait()
	var err error
	for g := range received {
		if err == nil && !a.done {
			dst, err = a.take(g, dst)
		}
		if err != nil || a.done {
			stop() // the receiver too, if it does not know it
		}
		d.keep(g.buf)
	}
	return dst, err
}

// buffer returns one to receive into.
func (d *Dumper) buffer() []byte {
	select {
	case buf := <-d.spare:
		return buf
	default:
		return make([]byte, bufferSize)
	}
}

func (d *Dumper) keep(buf []byte) {
	select {
	case d.spare <- buf:
	default: // enough are kept
	}
}

// ends reports whether nothing follows a datagram: its last message is
// NLMSG_DONE or NLMSG_ERROR, or it cannot be read.
func ends(b []byte) bool {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true
		}
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return true
		}
		b = b[min(align4(size), len(b)):]
	}
	return len(b) > 0
}
