//go:build linux

package sockdiag

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// message is struct inet_diag_msg, which encoding/binary reads member by member. What it holds in network byte order are
// bytes here.
type message struct {
	Family, State, Timer, Retrans uint8
	LocalPort, RemotePort         [2]byte
	Local, Remote                 [16]byte
	Interface, CookieLow, CookieHigh,
	Expires, RecvQueue, SendQueue, UID, Inode uint32
}

// reference reads what parseMessage reads, by encoding/binary and the netlink library.
func reference(b []byte) (s model.Socket, err error) {
	var m message
	rest := bytes.NewReader(b)
	if err := binary.Read(rest, binary.NativeEndian, &m); err != nil {
		return s, err
	}
	s = model.Socket{
		Family: model.Family(m.Family), State: model.TCPState(m.State), LocalIP: m.Local, RemoteIP: m.Remote,
		LocalPort: binary.BigEndian.Uint16(m.LocalPort[:]), RemotePort: binary.BigEndian.Uint16(m.RemotePort[:]),
		Interface: m.Interface, Cookie: uint64(m.CookieHigh)<<32 + uint64(m.CookieLow),
		RecvQueue: m.RecvQueue, SendQueue: m.SendQueue, UID: m.UID, Inode: m.Inode,
	}
	switch m.Family {
	case unix.AF_INET:
		for _, ip := range []*[16]byte{&s.LocalIP, &s.RemoteIP} {
			*ip = [16]byte(append([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"), ip[:4]...))
		}
	case unix.AF_INET6:
	default:
		return s, fmt.Errorf("family %d", m.Family)
	}
	// The library wants the last attribute padded, and overlooks what is too short behind it.
	list := b[sizeofMsg:]
	if !isWhole(list) {
		return s, errors.New("an attribute is cut")
	}
	attributes, err := nl.ParseRouteAttr(append(bytes.Clone(list), 0, 0, 0))
	if err != nil {
		return s, err
	}
	for _, a := range attributes {
		var into any
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case attrInfo:
			s.InfoLen = uint16(len(a.Value))
			info := new(unix.TCPInfo) // as it lies in memory, for it has gaps that encoding/binary does not know of
			copy(unsafe.Slice((*byte)(unsafe.Pointer(info)), unsafe.Sizeof(*info)), a.Value)
			s.CongestionState = model.CongestionState(info.Ca_state)
			s.Unacked, s.LastDataSent, s.LastDataRecv, s.RTT, s.RTTVar = info.Unacked, info.Last_data_sent, info.Last_data_recv, info.Rtt, info.Rttvar
			s.CongestionWindow, s.TotalRetrans, s.NotSent, s.MinRTT = info.Snd_cwnd, info.Total_retrans, info.Notsent_bytes, info.Min_rtt
			s.BytesAcked, s.BytesReceived, s.BytesSent, s.BytesRetrans = info.Bytes_acked, info.Bytes_received, info.Bytes_sent, info.Bytes_retrans
			s.DeliveryRate = info.Delivery_rate
			continue
		case attrShutdown:
			into = &s.Shutdown
		case attrV6Only:
			into = &s.V6Only
		case attrCgroupID:
			into = &s.CgroupID
		default:
			continue
		}
		if err := binary.Read(bytes.NewReader(a.Value), binary.NativeEndian, into); err != nil {
			return s, err
		}
	}
	return s, nil
}

// isWhole reports whether a list ends with its last attribute, which may have its padding or not.
func isWhole(list []byte) bool {
	at := 0
	for at < len(list) {
		if at+unix.SizeofNlAttr > len(list) {
			return false
		}
		size := int(binary.NativeEndian.Uint16(list[at:]))
		if size < unix.SizeofNlAttr || at+size > len(list) {
			return false
		}
		at += align4(size)
	}
	return true
}

// attribute is a struct nlattr with its padding.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, align4(len(b))-len(b))...)
}

// bytesTo are the bytes 1, 2, 3 and so on.
func bytesTo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

// messages are some of every shape.
func messages() (list [][]byte) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX} {
		m := bytesTo(sizeofMsg)
		m[0] = family
		list = append(list, m, m[:sizeofMsg-1],
			append(bytes.Clone(m), attribute(attrInfo, bytesTo(248)...)...),
			append(bytes.Clone(m), attribute(attrInfo, bytesTo(104)...)...),
			append(bytes.Clone(m), attribute(attrShutdown, 3)...),
			append(bytes.Clone(m), attribute(attrV6Only, 1)...),
			append(bytes.Clone(m), attribute(attrCgroupID, bytesTo(8)...)...),
			append(bytes.Clone(m), attribute(attrCgroupID, bytesTo(7)...)...),
			append(bytes.Clone(m), attribute(attrShutdown|nl.NLA_F_NESTED, 2, 1)...),
			append(append(bytes.Clone(m), attribute(99)...), attribute(attrShutdown, 3)[:5]...),
			append(bytes.Clone(m), 3, 0, 0, 0), append(bytes.Clone(m), 4, 0), append(bytes.Clone(m), 9, 0, 0, 0),
		)
	}
	return list
}

// What is taken for a socket, and what for malformed, is what another reader takes for it.
func FuzzMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := model.Socket{Seen: 1, Cookie: 2, V6Only: true} // of whom nothing may be left
		got := before
		err := parseMessage(b, &got)
		want, wantErr := reference(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, and of the reference %v", err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v, want one of a malformed message", err)
			}
			return
		}
		if want != got {
			t.Fatalf("socket (-reference +got):\n%s", cmp.Diff(want, got))
		}
	})
}

// netlinkMessage is struct nlmsghdr and a payload.
func netlinkMessage(kind uint16, seq, port uint32, payload ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(binary.NativeEndian.AppendUint32(b, port), payload...)
	return append(b, make([]byte, align4(len(b))-len(b))...)
}

const fuzzPort = 4242

// datagrams are some of every shape that answer the request seq.
func datagrams(seq uint32) (list [][]byte) {
	done := netlinkMessage(unix.NLMSG_DONE, seq, fuzzPort, 0, 0, 0, 0)
	socket := bytesTo(sizeofMsg)
	socket[0] = unix.AF_INET6
	one := netlinkMessage(getSock, seq, fuzzPort, socket...)
	list = [][]byte{
		nil, done, one, one[:20], append(bytes.Clone(one), one...), append(bytes.Clone(one), done...), append(bytes.Clone(done), one...),
		netlinkMessage(unix.NLMSG_DONE, seq, fuzzPort),
		netlinkMessage(unix.NLMSG_ERROR, seq, fuzzPort, 0, 0, 0, 0),
		netlinkMessage(unix.NLMSG_ERROR, seq, fuzzPort, binary.NativeEndian.AppendUint32(nil, ^uint32(unix.ENOENT)+1)...),
		netlinkMessage(unix.NLMSG_NOOP, seq, fuzzPort), netlinkMessage(unix.NLMSG_DONE, seq+1, fuzzPort), netlinkMessage(getSock, seq, fuzzPort+1),
		append(bytes.Clone(one), done[:unix.SizeofNlMsghdr-1]...), append(bytes.Clone(done), 1, 2, 3),
	}
	for _, m := range messages() {
		list = append(list, append(netlinkMessage(getSock, seq, fuzzPort, m...), done...))
	}
	return list
}

// The receiver of a dump stops where ends says so. That must be where the reader has all of it or an error, or a dump would
// be cut short and taken for whole; and where the reader is done it has to be so, or the receiver would wait for nothing.
func FuzzEnds(f *testing.F) {
	const seq = 7
	for _, d := range datagrams(seq) {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := answer{seq: seq, port: fuzzPort, join: once()}
		_, err := a.take(datagram{bytes: b}, nil)
		if ends(b) && !a.done && err == nil {
			t.Fatalf("%x ends, and the reader wants more", b)
		}
		if a.done && err == nil && !ends(b) {
			t.Fatalf("%x: the reader is done, and the receiver goes on", b)
		}
	})
}

// scripted is a Conn whose answers are the datagrams, and then nothing.
type scripted struct {
	datagrams [][]byte
	closed    bool
}

func (s *scripted) Send(Request) error    { return nil }
func (s *scripted) Port() (uint32, error) { return fuzzPort, nil }
func (s *scripted) Close()                { s.closed = true }

func (s *scripted) Receive(_ context.Context, buf []byte) (int, uint32, error) {
	if len(s.datagrams) == 0 {
		return 0, 0, io.EOF
	}
	b := s.datagrams[0]
	s.datagrams = s.datagrams[1:]
	copy(buf, b)
	return len(b), 0, nil
}

// sequenced is b with the sequence numbers of its messages as far from seq as they are from 7. One that is not 7 does not
// become seq, whatever that is.
func sequenced(b []byte, seq uint32) []byte {
	b = bytes.Clone(b)
	for rest := b; len(rest) >= unix.SizeofNlMsghdr; {
		binary.NativeEndian.PutUint32(rest[8:], binary.NativeEndian.Uint32(rest[8:])-7+seq)
		size := int(binary.NativeEndian.Uint32(rest))
		if size < unix.SizeofNlMsghdr || size > len(rest) {
			break
		}
		rest = rest[min(align4(size), len(rest)):]
	}
	return b
}

// withSeq is a Conn that gives the datagrams the number of the request.
type withSeq struct{ *scripted }

func (w withSeq) Send(r Request) error {
	for i, d := range w.datagrams {
		w.datagrams[i] = sequenced(d, r.Seq())
	}
	return nil
}

// A lookup is answered by one socket, by none (and then it is gone) or by an error, after which the connection is not used
// again.
func FuzzLookup(f *testing.F) {
	const seq = 7
	for _, d := range datagrams(seq) {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := &scripted{datagrams: [][]byte{b}}
		d := New(func() (Conn, error) { return withSeq{conn}, nil }, func() time.Duration { return 1 }, 2)
		defer d.Close()
		there := []model.Socket{{Cookie: 99}}
		got, err := d.Lookup(t.Context(), ID{Family: model.IPv4}, there)
		switch {
		case err != nil && (len(got) != 1 || !conn.closed):
			t.Fatalf("error %v with %d sockets, connection closed %t", err, len(got)-1, conn.closed)
		case err == nil && (len(got) > 2 || conn.closed):
			t.Fatalf("%d sockets without an error, connection closed %t", len(got)-1, conn.closed)
		case err == nil && len(got) == 2:
			if s := got[1]; s.Seen != 1 || s.NetNS != 2 || s.Family != model.IPv4 && s.Family != model.IPv6 {
				t.Fatalf("%+v", s)
			}
		}
		if got[0] != there[0] {
			t.Fatalf("%+v was there before", got[0])
		}
	})
}

// A dump of any datagrams, after the third of which it is received by another goroutine, is that of their messages one after
// the other, up to the end that the kernel says; or an error, and then nothing.
func FuzzDump(f *testing.F) {
	list := datagrams(7)
	for i, d := range list {
		f.Add(list[2], list[(i+1)%len(list)], d, list[1])
	}
	f.Fuzz(func(t *testing.T, first, second, third, fourth []byte) {
		parts := [][]byte{first, second, third, fourth}
		conn := &scripted{datagrams: parts}
		d := New(func() (Conn, error) { return withSeq{conn}, nil }, func() time.Duration { return 0 }, 0)
		defer d.Close()
		got, err := d.Dump(t.Context(), nil, Only{}, nil)

		var want []model.Socket
		a := answer{seq: 7, port: fuzzPort, join: once()}
		var wantErr error
		for _, part := range [][]byte{first, second, third, fourth} {
			if want, wantErr = a.take(datagram{bytes: part}, want); wantErr != nil || a.done {
				break
			}
		}
		if !a.done && wantErr == nil {
			wantErr = io.EOF
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if err != nil {
			if len(got) > 0 || !conn.closed {
				t.Fatalf("%d sockets with error %v, connection closed %t", len(got), err, conn.closed)
			}
			return
		}
		if !slices.Equal(want, got) {
			t.Fatalf("sockets (-one datagram after the other +got):\n%s", cmp.Diff(want, got))
		}
	})
}
