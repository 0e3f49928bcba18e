//go:build linux

package sockdiag_test

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// What a dump says of a connection a lookup says too.
func TestLookup(t *testing.T) {
	d := sockdiag.New(sockdiag.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	for _, test := range []struct{ name, listen, dial, device string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1", ""},
		{"IPv6", "[::1]:0", "::1", ""},
		{"IPv4 to an IPv6 socket", "[::]:0", "127.0.0.1", ""},
		{"bound to an interface", "127.0.0.1:0", "127.0.0.1", "lo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bind := func(_, _ string, c syscall.RawConn) (err error) {
				if test.device == "" {
					return nil
				}
				return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), test.device) }), err)
			}
			l, err := (&net.ListenConfig{Control: bind}).Listen(t.Context(), "tcp", test.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			opener, err := (&net.Dialer{Control: bind}).Dial("tcp", net.JoinHostPort(test.dial, port))
			if err != nil {
				t.Fatal(err)
			}
			defer opener.Close()
			acceptor, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer acceptor.Close()
			local, remote := opener.LocalAddr().(*net.TCPAddr).AddrPort(), opener.RemoteAddr().(*net.TCPAddr).AddrPort()
			sockets, err := d.Dump(t.Context(), nil, sockdiag.Only{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, s := range sockets {
				if !(s.Local() == local && s.Remote() == remote) && !(s.Local() == remote && s.Remote() == local) {
					continue
				}
				found++
				id := sockdiag.IDOf(&s)
				anybody := id
				anybody.Cookie = 0
				for _, id := range []sockdiag.ID{id, anybody} {
					got, err := d.Lookup(t.Context(), id, sockets[:1:1])
					if err != nil || len(got) != 2 {
						t.Fatalf("%v: %d sockets, error %v, want one more", id, len(got), err)
					}
					if diff := cmp.Diff(identity(s), identity(got[1])); diff != "" {
						t.Errorf("%v (-dump +lookup):\n%s", id, diff)
					}
				}
				id.Cookie++
				if got, err := d.Lookup(t.Context(), id, nil); err != nil || len(got) != 0 {
					t.Errorf("by another's cookie: %v, error %v, want nothing", got, err)
				}
			}
			if found != 2 {
				t.Fatalf("%d ends in the dump, want 2", found)
			}
		})
	}
}

// identity is s without what changes while nothing happens to it.
func identity(s model.Socket) model.Socket {
	s.LastDataRecv, s.LastDataSent, s.RTT, s.RTTVar, s.MinRTT, s.DeliveryRate = 0, 0, 0, 0, 0, 0
	return s
}

// One that is gone is not there, and without a cookie there may be who listens for it.
func TestLookupOfOneThatIsGone(t *testing.T) {
	d := sockdiag.New(sockdiag.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	id := sockdiag.ID{
		Family: model.IPv4, LocalIP: at.Addr().As16(), RemoteIP: netip.MustParseAddr("127.0.0.9").As16(), LocalPort: at.Port(), RemotePort: 9, Cookie: 1,
	}
	if got, err := d.Lookup(t.Context(), id, nil); err != nil || len(got) != 0 {
		t.Errorf("%v, error %v, want nothing", got, err)
	}
	id.Cookie = 0
	if got, err := d.Lookup(t.Context(), id, nil); err != nil || len(got) != 1 || got[0].State != model.Listen {
		t.Errorf("%v, error %v, want who listens", got, err)
	}
	id.LocalPort = 1
	if got, err := d.Lookup(t.Context(), id, nil); err != nil || len(got) != 0 {
		t.Errorf("nobody listens: %v, error %v, want nothing", got, err)
	}
}

func TestLookupFaults(t *testing.T) {
	one := sockdiagtest.Message{Type: sockdiagtest.GetSock, Payload: sockdiagtest.Payload(socket(1))}
	closed := sockdiagtest.Payload(with(socket(1), func(s *model.Socket) { s.State = model.TimeWait }))
	for _, test := range []struct {
		name    string
		answer  sockdiagtest.Dump
		want    int
		wantErr error
		dialed  int // sockets, after another lookup
	}{
		{"one", sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one}}}, 1, nil, 1},
		{"none", sockdiagtest.Dump{sockdiagtest.Refusal(unix.ENOENT)}, 0, nil, 1},
		{"another's", sockdiagtest.Dump{sockdiagtest.Refusal(unix.ESTALE)}, 0, nil, 1},
		{"one in TIME_WAIT", sockdiagtest.Sockets(closed)[:1], 0, nil, 1},
		{"refused", sockdiagtest.Dump{sockdiagtest.Refusal(unix.EPERM)}, 0, unix.EPERM, 2},
		{"two", sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one, one}}}, 0, sockdiag.ErrForeign, 2},
		{"nothing", sockdiagtest.Dump{{Messages: []sockdiagtest.Message{{Type: unix.NLMSG_NOOP}}}}, 0, sockdiag.ErrForeign, 2},
		{"an answer to another", sockdiagtest.Dump{{Messages: []sockdiagtest.Message{{Type: one.Type, Payload: one.Payload, Seq: 77}}}}, 0, sockdiag.ErrForeign, 2},
		{"cut off", sockdiagtest.Dump{{Messages: []sockdiagtest.Message{one}, Cut: 8}}, 0, sockdiag.ErrTruncated, 2},
		{"a full queue", sockdiagtest.Dump{{Err: unix.ENOBUFS}}, 0, unix.ENOBUFS, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			kernel := &sockdiagtest.Kernel{Dumps: []sockdiagtest.Dump{test.answer}}
			d := sockdiag.New(kernel.Dial, func() time.Duration { return testTime }, testNetNS)
			s := socket(1)
			before := []model.Socket{socket(9)}
			got, err := d.Lookup(t.Context(), sockdiag.IDOf(&s), before)
			if !errors.Is(err, test.wantErr) || len(got) != 1+test.want {
				t.Errorf("%d sockets, error %v, want %d and %v", len(got), err, 1+test.want, test.wantErr)
			}
			if test.want == 1 {
				if diff := cmp.Diff([]model.Socket{socket(9), s}, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			kernel.Show(sockdiagtest.Dump{sockdiagtest.Refusal(unix.ENOENT)})
			if _, err := d.Lookup(t.Context(), sockdiag.IDOf(&s), nil); err != nil {
				t.Errorf("the next lookup: %v", err)
			}
			if kernel.Dialed() != test.dialed {
				t.Errorf("%d sockets were opened, want %d", kernel.Dialed(), test.dialed)
			}
			d.Close()
			if kernel.Open() != 0 {
				t.Errorf("%d sockets are still open", kernel.Open())
			}
		})
	}
}

// BenchmarkLookup looks up one connection of this host.
func BenchmarkLookup(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	local, remote := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	id := sockdiag.ID{
		Family: model.IPv4, LocalIP: local.Addr().As16(), RemoteIP: remote.Addr().As16(), LocalPort: local.Port(), RemotePort: remote.Port(),
	}
	d := sockdiag.New(sockdiag.Dial, func() time.Duration { return testTime }, testNetNS)
	defer d.Close()
	var found []model.Socket
	b.ReportAllocs()
	for b.Loop() {
		if found, err = d.Lookup(b.Context(), id, found[:0]); err != nil || len(found) != 1 {
			b.Fatalf("%v, error %v", found, err)
		}
	}
}
