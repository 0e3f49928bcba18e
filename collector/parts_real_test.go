//go:build linux

package collector_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// The kernel's dump in two parts has the sockets that its whole dump has, of either family and in each state, those that
// listen first; with or without what comes from tcp_info.
func TestADumpInPartsHasTheSameSockets(t *testing.T) {
	const connections = 2 * (700 + 1 + 1 + 1)
	pairs(t, 700) // many datagrams
	v6 := connect(t, listen(t, "tcp6", "[::1]:0"), "tcp6", "::1")
	mapped := connect(t, listen(t, "tcp", "[::]:0"), "tcp4", "127.0.0.1")
	send(t, v6.opener, v6.acceptor, 1000)
	if err := mapped.opener.CloseWrite(); err != nil { // FIN_WAIT2 and CLOSE_WAIT
		t.Fatal(err)
	}
	deferred := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30) })
		return errors.Join(cerr, err)
	}}
	l, err := deferred.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waits, err := net.Dial("tcp4", l.Addr().String()) // SYN_RECV at the acceptor
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	eventually(t, start(t), "FIN_WAIT2", func(snap *model.Snapshot) bool {
		local, remote := mapped.openerEnds()
		return inState(local, remote, model.FinWait2)(snap)
	})

	d := sockdiag.New(sockdiag.Dial, func() time.Duration { return time.Hour }, 1)
	defer d.Close()
	dump := func(only sockdiag.Only) map[uint64]model.Socket {
		t.Helper()
		sockets, err := d.Dump(t.Context(), nil, only, nil)
		if err != nil {
			t.Fatal(err)
		}
		by := make(map[uint64]model.Socket)
		listening, orphans := true, 0
		for _, s := range sockets {
			if s.Inode == 0 && s.State != model.SynRecv {
				orphans++ // that another test has closed, which repeats what it has sent and ends some time
				continue
			}
			if isListener := s.State == model.Listen; isListener && !listening {
				t.Errorf("%v, which listens, comes after a connection", s.Local())
			} else {
				listening = isListener
			}
			s.LastDataRecv, s.LastDataSent, s.RTT, s.RTTVar, s.MinRTT, s.DeliveryRate = 0, 0, 0, 0, 0, 0
			by[s.Cookie] = s
		}
		if len(by) != len(sockets)-orphans {
			t.Errorf("%d of %d sockets are there twice", len(sockets)-orphans-len(by), len(sockets))
		}
		return by
	}
	for name, only := range map[string]sockdiag.Only{"with tcp_info": {}, "without": sockdiag.Only{}.WithoutInfo()} {
		whole := dump(only)
		states := make(map[model.TCPState]int)
		var local, remote []model.Socket
		for _, s := range whole {
			states[s.State]++
			local = append(local, model.Socket{LocalPort: s.LocalPort})
			remote = append(remote, model.Socket{RemotePort: s.RemotePort})
		}
		if states[model.SynRecv] < 1 || states[model.FinWait2] < 1 || states[model.CloseWait] < 1 || len(whole)-states[model.Listen] < connections {
			t.Fatalf("%s: %v, want SYN_RECV, FIN_WAIT2, CLOSE_WAIT, and %d connections at least", name, states, connections)
		}
		for by, ports := range map[string][]model.Socket{"local": local, "remote": remote} {
			parted := only.Parted(sockdiag.PartingOf(ports))
			if parted == only {
				t.Fatalf("the %s ports do not divide the sockets", by)
			}
			inParts := dump(parted)
			if !d.InParts() {
				t.Errorf("%s, by the %s ports: it was dumped whole", name, by)
			}
			if diff := cmp.Diff(whole, inParts); diff != "" {
				t.Errorf("%s, by the %s ports (-whole +parts):\n%s", name, by, diff)
			}
		}
	}
}

// BenchmarkDump is a dump of 10,000 sockets, in one and in two parts at the same time.
func BenchmarkDump(b *testing.B) {
	pairs(b, 5000)
	for name, parted := range map[string]bool{"whole": false, "in parts": true} {
		b.Run(name, func(b *testing.B) {
			d := sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, 1)
			defer d.Close()
			join := func(sockets []model.Socket, _ int) int { return len(sockets) }
			sockets, err := d.Dump(b.Context(), nil, sockdiag.Only{}, join)
			if err != nil {
				b.Fatal(err)
			}
			var only sockdiag.Only
			if parted {
				only = only.Parted(sockdiag.PartingOf(sockets))
			}
			b.ReportAllocs()
			for b.Loop() {
				if sockets, err = d.Dump(b.Context(), sockets[:0], only, join); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sockets)), "ns/socket")
		})
	}
}
