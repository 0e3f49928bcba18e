//go:build linux

package sockdiag_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

const (
	testNetNS = 4026531840
	testTime  = 5 * time.Second
)

// socket is a message's worth with every field set, each to another value.
func socket(cookie uint64) model.Socket {
	return model.Socket{
		Cookie: cookie, Seen: testTime, NetNS: testNetNS, CgroupID: 1<<40 + 1,
		BytesAcked: 1 << 33, BytesReceived: 1<<34 + 2, BytesSent: 1<<35 + 3, BytesRetrans: 4, DeliveryRate: 1<<36 + 5,
		LocalIP:   netip.MustParseAddr("192.0.2.1").As16(),
		RemoteIP:  netip.MustParseAddr("198.51.100.2").As16(),
		LocalPort: 18080, RemotePort: 49152,
		InfoLen: 248, Interface: 6, UID: 7, Inode: 8, RecvQueue: 9, SendQueue: 10,
		LastDataSent: 11, LastDataRecv: 12, RTT: 13, RTTVar: 14, MinRTT: 15,
		Unacked: 16, NotSent: 17, TotalRetrans: 18, CongestionWindow: 19,
		State: model.Established, Family: model.IPv4, CongestionState: 4, Shutdown: 3,
	}
}

func with(s model.Socket, change func(*model.Socket)) model.Socket {
	change(&s)
	return s
}

// cutInfo is what is left of s where the kernel gives only n bytes of tcp_info.
func cutInfo(s model.Socket, n uint16) model.Socket {
	s.InfoLen = n
	if n < 216 { // behind tcpi_bytes_retrans
		s.BytesSent, s.BytesRetrans = 0, 0
	}
	if n < 168 {
		s.DeliveryRate = 0
	}
	if n < 152 {
		s.MinRTT, s.NotSent = 0, 0
	}
	if n < 136 {
		s.BytesAcked, s.BytesReceived = 0, 0
	}
	if n < 104 {
		s.RTT, s.RTTVar, s.CongestionWindow, s.TotalRetrans = 0, 0, 0, 0
	}
	if n == 0 {
		s.LastDataSent, s.LastDataRecv, s.Unacked, s.CongestionState = 0, 0, 0, 0
	}
	return s
}

func dump(t *testing.T, k *sockdiagtest.Kernel) ([]model.Socket, error) {
	t.Helper()
	return dumpOnly(t, k, sockdiag.Only{})
}

func dumpOnly(t *testing.T, k *sockdiagtest.Kernel, only sockdiag.Only) ([]model.Socket, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	got, err := d.Dump(ctx, nil, only, nil)
	if n := k.Open(); err != nil && n != 0 {
		t.Errorf("%d netlink sockets were left open after an error", n)
	}
	d.Close()
	if n := k.Open(); n != 0 {
		t.Errorf("%d netlink sockets were left open", n)
	}
	return got, err
}

func TestDumpReadsMessages(t *testing.T) {
	v6 := with(socket(2), func(s *model.Socket) {
		s.Family = model.IPv6
		s.LocalIP = netip.MustParseAddr("2001:db8::1").As16()
		s.RemoteIP = netip.MustParseAddr("2001:db8::2").As16()
	})
	mapped := with(socket(3), func(s *model.Socket) { s.Family = model.IPv6 })
	listener := model.Socket{
		Cookie: 4, Seen: testTime, NetNS: testNetNS, Family: model.IPv6, State: model.Listen,
		LocalPort: 443, V6Only: true, InfoLen: 248, SendQueue: 4096, Inode: 77,
	}
	tests := map[string]struct {
		payloads [][]byte
		want     []model.Socket
	}{
		"no sockets": {nil, nil},
		"IPv4":       {[][]byte{sockdiagtest.Payload(socket(1))}, []model.Socket{socket(1)}},
		"IPv6, IPv4-mapped and a listener": {
			[][]byte{sockdiagtest.Payload(v6), sockdiagtest.Payload(mapped), sockdiagtest.Payload(listener)},
			[]model.Socket{v6, mapped, listener},
		},
		"a 64-bit cookie": {
			[][]byte{sockdiagtest.Payload(socket(0xfedcba9876543210))},
			[]model.Socket{socket(0xfedcba9876543210)},
		},
		"a request socket has no tcp_info": {
			[][]byte{sockdiagtest.Payload(cutInfo(socket(1), 0))},
			[]model.Socket{cutInfo(socket(1), 0)},
		},
		"tcp_info of Linux 2.6": {
			[][]byte{sockdiagtest.Payload(cutInfo(socket(1), 104))},
			[]model.Socket{cutInfo(socket(1), 104)},
		},
		"tcp_info of Linux 4.1": {
			[][]byte{sockdiagtest.Payload(cutInfo(socket(1), 136))},
			[]model.Socket{cutInfo(socket(1), 136)},
		},
		"tcp_info of Linux 4.18": {
			[][]byte{sockdiagtest.Payload(cutInfo(socket(1), 192))},
			[]model.Socket{cutInfo(socket(1), 192)},
		},
		"tcp_info of a kernel to come": {
			[][]byte{sockdiagtest.Payload(cutInfo(socket(1), 1000))},
			[]model.Socket{cutInfo(socket(1), 1000)},
		},
		"unknown attributes are passed over": {
			[][]byte{sockdiagtest.Payload(socket(1),
				sockdiagtest.Attribute{Type: 22, Value: []byte{1, 2, 3}},
				sockdiagtest.Attribute{Type: 999, Value: nil})},
			[]model.Socket{socket(1)},
		},
		"the flags of an attribute's type are not its type": {
			[][]byte{sockdiagtest.Payload(socket(1), sockdiagtest.Attribute{Type: 21 | 0x8000, Value: []byte{9, 0, 0, 0, 0, 0, 0, 0}})},
			[]model.Socket{with(socket(1), func(s *model.Socket) { s.CgroupID = 9 })},
		},
		"of a repeated socket the first word stands, once": {
			[][]byte{
				sockdiagtest.Payload(cutInfo(with(socket(1), func(s *model.Socket) { s.State = model.SynRecv; s.Inode = 0 }), 0)),
				sockdiagtest.Payload(socket(2)),
				sockdiagtest.Payload(socket(1)),
			},
			[]model.Socket{cutInfo(with(socket(1), func(s *model.Socket) { s.State = model.SynRecv; s.Inode = 0 }), 0), socket(2)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := dump(t, &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets(test.payloads...)}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sockets (-want +got):\n%s", diff)
			}
		})
	}
}

// The netlink socket serves one dump after the other, until one fails.
func TestDumpsShareASocket(t *testing.T) {
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(1))),
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(2))),
		{sockdiagtest.Done(unix.ENOMEM)},
		sockdiagtest.Sockets(sockdiagtest.Payload(socket(3))),
	}}
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	for _, want := range []struct {
		cookie uint64
		dialed int
	}{{1, 1}, {2, 1}, {0, 1}, {3, 2}} {
		got, err := d.Dump(t.Context(), nil, sockdiag.Only{}, nil)
		if want.cookie == 0 {
			if !errors.Is(err, unix.ENOMEM) {
				t.Errorf("error %v, want ENOMEM", err)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].Cookie != want.cookie {
			t.Errorf("%v, %v, want the socket with cookie %d", got, err, want.cookie)
		}
		if k.Dialed() != want.dialed {
			t.Errorf("%d sockets were opened, want %d", k.Dialed(), want.dialed)
		}
	}
}

// A fault is an error, never a short answer.
func TestDumpFaults(t *testing.T) {
	one := sockdiagtest.Message{Type: sockdiagtest.GetSock, Flags: unix.NLM_F_MULTI, Payload: sockdiagtest.Payload(socket(1))}
	oneAnd := func(last sockdiagtest.Datagram) sockdiagtest.Dump {
		return sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one}}, last}
	}
	message := func(change func(*sockdiagtest.Message)) sockdiagtest.Dump {
		m := one
		change(&m)
		return sockdiagtest.Dump{{Messages: []sockdiagtest.Message{m}}, sockdiagtest.Done(0)}
	}
	tests := map[string]struct {
		dump  sockdiagtest.Dump
		want  error
		text  string
		begun int // dumps begun, if not 1
	}{
		"NLMSG_DONE carries an errno":       {dump: oneAnd(sockdiagtest.Done(unix.ENOMEM)), want: unix.ENOMEM},
		"NLMSG_DONE carries a wrong errno":  {dump: oneAnd(sockdiagtest.Datagram{Messages: []sockdiagtest.Message{{Type: unix.NLMSG_DONE, Payload: []byte{1, 0, 0, 0}}}}), want: sockdiag.ErrMalformed},
		"NLMSG_DONE is cut":                 {dump: oneAnd(sockdiagtest.Datagram{Messages: []sockdiagtest.Message{{Type: unix.NLMSG_DONE, Payload: []byte{0, 0}}}}), want: sockdiag.ErrMalformed},
		"the request is refused":            {dump: sockdiagtest.Dump{sockdiagtest.Refusal(unix.EPERM)}, want: unix.EPERM},
		"no inet_diag module":               {dump: sockdiagtest.Dump{sockdiagtest.Refusal(unix.ENOENT)}, want: unix.ENOENT},
		"refused half way":                  {dump: oneAnd(sockdiagtest.Refusal(unix.EACCES)), want: unix.EACCES},
		"an acknowledgement":                {dump: oneAnd(sockdiagtest.Refusal(0)), want: sockdiag.ErrForeign},
		"NLMSG_ERROR is empty":              {dump: oneAnd(sockdiagtest.Datagram{Messages: []sockdiagtest.Message{{Type: unix.NLMSG_ERROR}}}), want: sockdiag.ErrMalformed},
		"a datagram ends within a message":  {dump: sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one, one}, Cut: 8}}, want: sockdiag.ErrTruncated},
		"a datagram ends within a header":   {dump: sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one, {Type: unix.NLMSG_DONE}}, Cut: 4}}, want: sockdiag.ErrTruncated},
		"a datagram larger than the buffer": {dump: sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one}, Whole: 1 << 20}}, want: sockdiag.ErrTruncated},
		"an empty datagram":                 {dump: sockdiagtest.Dump{{}}, want: sockdiag.ErrTruncated},
		"a message from another process":    {dump: sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one}, From: 99}}, want: sockdiag.ErrForeign},
		"a message for another port":        {dump: message(func(m *sockdiagtest.Message) { m.Port = 1 }), want: sockdiag.ErrForeign},
		"a message for another request":     {dump: message(func(m *sockdiagtest.Message) { m.Seq = 1 << 31 }), want: sockdiag.ErrForeign},
		"a message of another type":         {dump: message(func(m *sockdiagtest.Message) { m.Type = 20 }), want: sockdiag.ErrForeign},
		"NLMSG_OVERRUN":                     {dump: message(func(m *sockdiagtest.Message) { m.Type = unix.NLMSG_OVERRUN }), want: sockdiag.ErrForeign},
		"a short inet_diag_msg":             {dump: message(func(m *sockdiagtest.Message) { m.Payload = m.Payload[:71] }), want: sockdiag.ErrMalformed},
		"another address family":            {dump: message(func(m *sockdiagtest.Message) { m.Payload = append([]byte{1}, m.Payload[1:]...) }), want: sockdiag.ErrMalformed},
		"an attribute longer than its message": {
			dump: message(func(m *sockdiagtest.Message) { m.Payload = append(append([]byte(nil), m.Payload...), 8, 0, 2, 0) }),
			want: sockdiag.ErrMalformed,
		},
		"an attribute shorter than its header": {
			dump: message(func(m *sockdiagtest.Message) { m.Payload = append(append([]byte(nil), m.Payload...), 3, 0, 2, 0) }),
			want: sockdiag.ErrMalformed,
		},
		"stray bytes behind the attributes": {
			dump: message(func(m *sockdiagtest.Message) { m.Payload = append(append([]byte(nil), m.Payload...), 1, 2) }),
			want: sockdiag.ErrMalformed,
		},
		"an empty INET_DIAG_SHUTDOWN": {
			dump: sockdiagtest.Sockets(sockdiagtest.Payload(socket(1), sockdiagtest.Attribute{Type: 8})), want: sockdiag.ErrMalformed,
		},
		"an empty INET_DIAG_SKV6ONLY": {
			dump: sockdiagtest.Sockets(sockdiagtest.Payload(socket(1), sockdiagtest.Attribute{Type: 11})), want: sockdiag.ErrMalformed,
		},
		"a short INET_DIAG_CGROUP_ID": {
			dump: sockdiagtest.Sockets(sockdiagtest.Payload(socket(1), sockdiagtest.Attribute{Type: 21, Value: make([]byte, 7)})), want: sockdiag.ErrMalformed,
		},
		"interrupted each time": {dump: func() sockdiagtest.Dump {
			m := one
			m.Flags |= unix.NLM_F_DUMP_INTR
			return sockdiagtest.Dump{{Messages: []sockdiagtest.Message{m}}, sockdiagtest.Done(0)}
		}(), want: sockdiag.ErrInterrupted, begun: 4},
		"the receive queue overflows each time": {dump: oneAnd(sockdiagtest.Datagram{Err: unix.ENOBUFS}), want: unix.ENOBUFS, begun: 4},
		"receiving fails":                       {dump: oneAnd(sockdiagtest.Datagram{Err: unix.EIO}), want: unix.EIO},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{test.dump}}
			got, err := dump(t, k)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want one that wraps %q", err, test.want)
			}
			if len(got) != 0 {
				t.Errorf("%d sockets came with the error", len(got))
			}
			if want := max(test.begun, 1); k.Begun() != want {
				t.Errorf("%d dumps were begun, want %d", k.Begun(), want)
			}
		})
	}
}

func TestDumpIsRetriedAfterAnInterruption(t *testing.T) {
	interrupted := sockdiagtest.Sockets(sockdiagtest.Payload(socket(1)), sockdiagtest.Payload(socket(2)))
	interrupted[1].Messages[0].Flags |= unix.NLM_F_DUMP_INTR
	overflow := sockdiagtest.Dump{interrupted[0], {Err: unix.ENOBUFS}}
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{interrupted, overflow, sockdiagtest.Sockets(sockdiagtest.Payload(socket(3)))}}
	got, err := dump(t, k)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]model.Socket{socket(3)}, got); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	if k.Begun() != 3 {
		t.Errorf("%d dumps were begun, want 3", k.Begun())
	}
}

// What was closed while the kernel listed it is left out: for a moment it has its
// state still, and no port any more.
func TestDumpLeavesOutWhatIsClosed(t *testing.T) {
	inState := func(state model.TCPState) []byte {
		return sockdiagtest.Payload(with(socket(2), func(s *model.Socket) { s.State = state }))
	}
	withoutPort := sockdiagtest.Payload(with(socket(3), func(s *model.Socket) { s.LocalPort = 0 }))
	first, last := sockdiagtest.Payload(socket(1)), sockdiagtest.Payload(socket(4))
	got, err := dump(t, &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{
		sockdiagtest.Sockets(first, inState(model.Close), inState(model.TimeWait), withoutPort, last),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]model.Socket{socket(1), socket(4)}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDumpAppends(t *testing.T) {
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{sockdiagtest.Sockets(sockdiagtest.Payload(socket(1)))}}
	d := sockdiag.New(k.Dial, func() time.Duration { return testTime }, testNetNS)
	first := []model.Socket{socket(9)}
	got, err := d.Dump(t.Context(), first, sockdiag.Only{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]model.Socket{socket(9), socket(1)}, got); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
}

func TestDumpEndsWithItsContext(t *testing.T) {
	k := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{{}}} // the kernel is silent
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the client left")
	cancel(why)
	_, err := sockdiag.New(k.Dial, func() time.Duration { return 0 }, 1).Dump(ctx, nil, sockdiag.Only{}, nil)
	if !errors.Is(err, why) {
		t.Errorf("error %v, want %q", err, why)
	}
}

func TestDialError(t *testing.T) {
	k := &sockdiagtest.Kernel{DialErr: unix.EMFILE}
	if _, err := dump(t, k); !errors.Is(err, unix.EMFILE) {
		t.Errorf("error %v, want EMFILE", err)
	}
}
