//go:build linux

package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Errors of a dump, besides [ErrMalformed] and the kernel's own errno.
var (
	// ErrTruncated: a datagram was larger than the buffer, or ended within a
	// message.
	ErrTruncated = errors.New("truncated sock_diag answer")
	// ErrForeign: a message that does not answer the request that was sent.
	ErrForeign = errors.New("message that is no answer to the sock_diag request")
	// ErrInterrupted: the kernel said (NLM_F_DUMP_INTR) that the tables changed
	// in a way that may have left sockets out.
	ErrInterrupted = errors.New("sock_diag dump was interrupted")
)

// attempts is how often a dump is begun before an interruption or a full
// receive queue is given up on.
const attempts = 4

// bufferSize holds every datagram of a dump: the kernel fills what the reader
// offers, up to 32 KiB (netlink_dump in net/netlink/af_netlink.c).
const bufferSize = 64 << 10

// Dumper makes dumps of one network namespace, one at a time.
type Dumper struct {
	dial  func() (Conn, error)
	clock func() time.Duration
	netns uint32

	// conn and its port are kept between dumps: opening a socket costs more
	// than the dump of an idle host, and in another namespace a thread has to
	// go there for it. nil where there is none.
	conn Conn
	port uint32

	seq     uint32 // of the last request
	request []byte // which that lies in

	// beside makes the second of two dumps at the same time, and parts is the latest of
	// those; nil where there was none yet. inParts is whether the latest dump was one.
	beside  *Dumper
	parts   *parts
	inParts bool

	// spare are the buffers that datagrams are read into, while they are not in use.
	spare chan []byte
}

// New returns a Dumper that opens its socket with dial and marks what it
// reads with the time by clock and with netns, the inode number of the network
// namespace that dial leads to.
func New(dial func() (Conn, error), clock func() time.Duration, netns uint32) *Dumper {
	return &Dumper{
		dial:  dial,
		clock: clock,
		netns: netns,
		spare: make(chan []byte, ahead),
	}
}

// Sibling returns a Dumper of a namespace by its own dial and netns, which shares the
// buffers of d.
func (d *Dumper) Sibling(dial func() (Conn, error), netns uint32) *Dumper {
	return &Dumper{dial: dial, clock: d.clock, netns: netns, spare: d.spare}
}

// Another returns a Dumper of the same namespace that has a socket and memory of
// its own, so that it can be used while d makes a dump.
func (d *Dumper) Another() *Dumper { return New(d.dial, d.clock, d.netns) }

// InParts reports whether the latest dump was made in parts.
func (d *Dumper) InParts() bool { return d.inParts }

// Close closes the netlink socket, if there is one. The next dump opens
// another.
func (d *Dumper) Close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
	if d.beside != nil {
		d.beside.Close()
	}
}

// Join is told of a dump while it goes on: that sockets[from:] have come. It
// takes those out that the kernel repeats, by moving the others up, and returns
// how many there are then; those are not changed any more. The slice is the
// dump's. After an interruption the dump begins anew, with a from that was there
// before. The listening sockets come before all others (inet_diag_dump_icsk in
// net/ipv4/inet_diag.c). It is called by one goroutine at a time, which need not
// be the one that called Dump, and not after Dump has returned. Each call has the
// sockets of one datagram.
//
// Whoever joins a dump looks each socket up by its cookie anyhow, which costs
// more than to parse it: so a repeated one is found there and not here.
type Join func(sockets []model.Socket, from int) (n int)

// once returns a Join that does nothing but take out what is repeated.
func once() Join {
	seen := make(map[uint64]struct{})
	return func(sockets []model.Socket, from int) int {
		n := from
		for i := from; i < len(sockets); i++ {
			if _, repeated := seen[sockets[i].Cookie]; !repeated {
				seen[sockets[i].Cookie] = struct{}{}
				sockets[n] = sockets[i]
				n++
			}
		}
		return n
	}
}

// Dump appends every TCP socket of the namespace that only says to dst, once
// each, but those in TIME_WAIT and CLOSE, and returns the extended slice. A
// kernel too old to leave sockets out gives all of them. Of a socket that the
// kernel repeats, the first word is kept. join, unless it is nil, is told of
// them as they come. After an error dst is returned as it came.
func (d *Dumper) Dump(ctx context.Context, dst []model.Socket, only Only, join Join) ([]model.Socket, error) {
	start := len(dst)
	var err error
	for range attempts {
		d.inParts = false
		attempt := join
		if join == nil {
			attempt = once()
		}
		dst, err = d.attempt(ctx, dst[:start], only, attempt)
		if err != nil {
			dst = dst[:start:start] // whoever join told may read the others still
		}
		if errors.Is(err, unix.EINVAL) && (only.bytecode != "" || only.parting != Parting{}) {
			only.bytecode, only.parting = "", Parting{}
			continue
		}
		if !errors.Is(err, ErrInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	if err != nil {
		return dst, fmt.Errorf("dump the TCP sockets: %w", err)
	}
	return dst, nil
}

// attempt makes one dump. After an error the socket is closed, so that what is
// left of a failed dump cannot be taken for an answer to the next.
func (d *Dumper) attempt(ctx context.Context, dst []model.Socket, only Only, join Join) ([]model.Socket, error) {
	if err := d.open(); err != nil {
		return dst, err
	}
	dst, err := d.ask(ctx, dst, only, join)
	if err != nil {
		d.Close()
	}
	return dst, err
}

// open sees to it that there is a netlink socket.
func (d *Dumper) open() error {
	if d.conn != nil {
		return nil
	}
	conn, err := d.dial()
	if err != nil {
		return err
	}
	port, err := conn.Port()
	if err != nil {
		conn.Close()
		return fmt.Errorf("ask for the netlink port: %w", err)
	}
	d.conn, d.port = conn, port
	return nil
}

// ask sends the request and reads the answer.
func (d *Dumper) ask(ctx context.Context, dst []model.Socket, only Only, join Join) ([]model.Socket, error) {
	if (only.parting != Parting{}) {
		return d.askInParts(ctx, dst, only, join)
	}
	r := d.dumpOf(only)
	if err := d.send(r); err != nil {
		return dst, err
	}
	answer := answer{port: d.port, seq: r.Seq(), netns: d.netns, join: join}
	first, last := d.receiveRow(ctx)
	if last {
		return d.takeRow(&answer, &first, dst, nil)
	}
	return d.overlap(ctx, &answer, first, dst)
}

func (d *Dumper) send(r Request) error {
	if err := d.conn.Send(r); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	return nil
}

// answer is what has been read of the answer to one request.
type answer struct {
	port, seq, netns  uint32
	seen              time.Duration
	join              Join
	done, interrupted bool
	gone              int // sockets that were closed meanwhile
}

// take appends the sockets of what was received to dst, and tells join.
func (a *answer) take(d datagram, dst []model.Socket) ([]model.Socket, error) {
	if d.err != nil {
		return dst, d.err
	}
	from := len(dst)
	a.seen = d.seen
	dst, err := a.read(d.bytes, dst)
	if err != nil {
		return dst, err
	}
	if a.done && a.interrupted {
		return dst, ErrInterrupted
	}
	return dst[:a.join(dst, from)], nil
}

// read appends the sockets of one datagram to dst.
func (a *answer) read(b []byte, dst []model.Socket) ([]model.Socket, error) {
	if len(b) == 0 {
		return dst, fmt.Errorf("%w: an empty datagram", ErrTruncated)
	}
	for len(b) > 0 && !a.done {
		if len(b) < unix.SizeofNlMsghdr {
			return dst, fmt.Errorf("%w: %d bytes, want the %d of nlmsghdr", ErrTruncated, len(b), unix.SizeofNlMsghdr)
		}
		// struct nlmsghdr: len (4), type (2), flags (2), seq (4), pid (4).
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr {
			return dst, fmt.Errorf("%w: a message of %d bytes, less than its header", ErrMalformed, size)
		}
		if size > len(b) {
			return dst, fmt.Errorf("%w: a message of %d bytes, of which %d came", ErrTruncated, size, len(b))
		}
		kind := binary.NativeEndian.Uint16(b[4:])
		flags := binary.NativeEndian.Uint16(b[6:])
		seq := binary.NativeEndian.Uint32(b[8:])
		port := binary.NativeEndian.Uint32(b[12:])
		if seq != a.seq || port != a.port {
			return dst, fmt.Errorf("%w: it has sequence %d and port %d, want %d and %d", ErrForeign, seq, port, a.seq, a.port)
		}
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			a.interrupted = true
		}
		payload := b[unix.SizeofNlMsghdr:size]
		switch kind {
		case getSock:
			var err error
			if dst, err = a.add(payload, dst); err != nil {
				return dst, err
			}
		case unix.NLMSG_DONE:
			a.done = true
			// A dump that failed on its way ends with the errno here, and looks
			// like a short or empty one to who does not read it.
			if err := errno("NLMSG_DONE", payload, true); err != nil {
				return dst, err
			}
		case unix.NLMSG_ERROR:
			if err := errno("NLMSG_ERROR", payload, false); err != nil {
				return dst, err
			}
			return dst, fmt.Errorf("%w: an acknowledgement where a dump was asked for", ErrForeign)
		case unix.NLMSG_NOOP:
		default:
			return dst, fmt.Errorf("%w: its type is %d, want %d", ErrForeign, kind, getSock)
		}
		b = b[min(align4(size), len(b)):]
	}
	return dst, nil
}

// add appends the socket of one message. It is parsed where it is to stand, not copied.
func (a *answer) add(payload []byte, dst []model.Socket) ([]model.Socket, error) {
	n := len(dst)
	if n < cap(dst) {
		dst = dst[:n+1]
	} else {
		dst = append(dst, model.Socket{})
	}
	s := &dst[n]
	if err := parseMessage(payload, s); err != nil {
		return dst[:n], err
	}
	if isGone(s) {
		a.gone++
		return dst[:n], nil
	}
	s.Seen, s.NetNS = a.seen, a.netns
	return dst, nil
}

// isGone reports whether a socket was closed while the kernel listed it. Before
// the state is set to CLOSE the port is given back (tcp_set_state in
// net/ipv4/tcp.c), so for a moment a connection has none.
func isGone(s *model.Socket) bool {
	return s.State == model.TimeWait || s.State == model.Close || s.LocalPort == 0
}

// errno returns the error that a NLMSG_DONE or NLMSG_ERROR carries: a negative
// errno, as a native 32-bit integer. A NLMSG_DONE without a payload is none.
func errno(kind string, payload []byte, mayBeEmpty bool) error {
	if len(payload) == 0 && mayBeEmpty {
		return nil
	}
	if len(payload) < 4 {
		return fmt.Errorf("%w: %s of %d bytes, want 4", ErrMalformed, kind, len(payload))
	}
	code := int32(binary.NativeEndian.Uint32(payload))
	switch {
	case code == 0:
		return nil
	case code > 0:
		return fmt.Errorf("%w: %s with errno %d, want it negative", ErrMalformed, kind, code)
	default:
		return fmt.Errorf("the kernel refused: %w", unix.Errno(-code))
	}
}
