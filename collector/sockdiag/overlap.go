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

// inRow is how many datagrams are received in a row before they are handed to
// who parses them. A dump of no more is received and parsed by turns: to start a
// goroutine costs more than what that would win for a host of some hundred
// sockets. To hand over means to wake another thread, which takes some ten
// microseconds, in which the kernel can lose its place (scheduler).
const inRow = 8

// ahead is how many datagrams can have been received and not yet been parsed: so
// many that who receives hardly ever waits.
const ahead = 4 * inRow

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

// row is what was received in a row.
type row struct {
	datagrams [inRow]datagram
	n         int
}

// receiveRow receives until a row is full or nothing follows, and reports whether
// nothing does. A kernel that falls silent is waited for until ctx is done; what
// it said before is not looked at until then.
func (d *Dumper) receiveRow(ctx context.Context) (r row, last bool) {
	for !last && r.n < inRow {
		g := d.receive(ctx, d.buffer())
		r.datagrams[r.n] = g
		r.n++
		last = g.err != nil || ends(g.bytes)
	}
	return r, last
}

// takeRow appends the sockets of a row to dst, unless err has come before, and
// keeps its buffers.
func (d *Dumper) takeRow(a *answer, r *row, dst []model.Socket, err error) ([]model.Socket, error) {
	for i := range r.n {
		g := &r.datagrams[i]
		if err == nil && !a.done {
			dst, err = a.take(*g, dst)
		}
		d.keep(g.buf)
	}
	return dst, err
}

// overlap reads an answer of which the first row has come and more follows. This
// goroutine receives, which is where the kernel makes the dump and most of the
// time goes; meanwhile another parses and joins what has come, which so costs no
// time of its own where there is a second core (BenchmarkSnapshot).
func (d *Dumper) overlap(ctx context.Context, a *answer, first row, dst []model.Socket) ([]model.Socket, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	received := make(chan row, ahead/inRow-2) // one more is with each of the two
	received <- first
	var err error
	var parser sync.WaitGroup
	parser.Go(func() {
		for r := range received {
			if dst, err = d.takeRow(a, &r, dst, err); err != nil || a.done {
				stop() // the receiver too, if it does not know it
			}
		}
	})
	for last := false; !last; {
		var r row
		r, last = d.receiveRow(ctx)
		received <- r
	}
	close(received)
	parser.Wait()
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
	if len(b) == 0 {
		return true
	}
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		switch binary.NativeEndian.Uint16(b[4:]) {
		case getSock, unix.NLMSG_NOOP:
		default:
			return true
		}
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return true
		}
		b = b[min(align4(size), len(b)):]
	}
	return len(b) > 0
}
