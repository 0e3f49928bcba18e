//go:build linux

package collector_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// deafen makes the kernel drop whatever arrives for c, before TCP sees it,
// until the returned function is called. The peer cannot tell it from a lossy
// network.
func deafen(t *testing.T, c *net.TCPConn) (undo func()) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	control := func(f func(fd int) error) {
		t.Helper()
		if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
	}
	// A classic BPF program of one instruction: return 0 bytes of the packet.
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	control(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	return func() {
		t.Helper()
		control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
	}
}

// What is lost on the way and sent again counts once, at both ends.
func TestRetransmissions(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0")
	p := connect(t, l, "tcp4", "127.0.0.1")
	l.Close()
	c := start(t)
	openerLocal, openerRemote := p.openerEnds()
	acceptorLocal, acceptorRemote := p.acceptorEnds()

	hear := deafen(t, p.acceptor)
	if _, err := p.opener.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, "a retransmission", func(snap *model.Snapshot) bool {
		return snap.Sockets[find(t, snap, openerLocal, openerRemote)].BytesRetrans > 0
	})
	// Also to a collector that sees the connection for the first time.
	snap := look(t, start(t), collector.Want{})
	if snap.Known[find(t, snap, openerLocal, openerRemote)].Incoming {
		t.Error("the opener's end is said to be incoming while it sends again")
	}
	hear()
	buf := make([]byte, 5000)
	for got := 0; got < len(buf); {
		n, err := p.acceptor.Read(buf[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	eventually(t, c, "the acknowledgement", func(snap *model.Snapshot) bool {
		return snap.Sockets[find(t, snap, openerLocal, openerRemote)].Unacked == 0
	})
	for _, c := range []*collector.Collector{c, start(t)} {
		snap = look(t, c, collector.Want{})
		i, j := find(t, snap, openerLocal, openerRemote), find(t, snap, acceptorLocal, acceptorRemote)
		if snap.Sockets[i].TotalRetrans == 0 {
			t.Error("nothing was sent again: the test tests nothing")
		}
		opener, acceptor := snap.Connection(i), snap.Connection(j)
		if opener.SendCount != 5000 || opener.RecvCount != 0 || acceptor.RecvCount != 5000 || acceptor.SendCount != 0 {
			t.Errorf("opener sent %d, received %d, acceptor received %d, sent %d, want 5000, 0, 5000, 0",
				opener.SendCount, opener.RecvCount, acceptor.RecvCount, acceptor.SendCount)
		}
		if opener.Incoming || !acceptor.Incoming {
			t.Errorf("incoming: opener %v, acceptor %v, want false, true", opener.Incoming, acceptor.Incoming)
		}
	}
}

// The closing states that last only while a FIN or its acknowledgement is on
// its way. Payload counts and the direction are what they were.
func TestClosingOnTheWay(t *testing.T) {
	const toAcceptor, toOpener = 1000, 300
	for _, test := range []struct {
		name             string
		close            func(t *testing.T, p pair)
		opener, acceptor model.TCPState
	}{
		{"a FIN that is lost", func(t *testing.T, p pair) {
			deafen(t, p.acceptor)
			closeWrite(t, p.opener)
		}, model.FinWait1, model.Established},
		{"both close at once", func(t *testing.T, p pair) {
			deafen(t, p.acceptor)
			closeWrite(t, p.opener)
			closeWrite(t, p.acceptor)
		}, model.Closing, model.FinWait1},
		{"the last FIN is lost", func(t *testing.T, p pair) {
			closeWrite(t, p.opener)
			local, remote := p.openerEnds()
			eventually(t, start(t), "the acknowledgement of the FIN", inState(local, remote, model.FinWait2))
			deafen(t, p.opener)
			closeWrite(t, p.acceptor)
		}, model.FinWait2, model.LastAck},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t, "tcp4", "127.0.0.1:0")
			p := connect(t, l, "tcp4", "127.0.0.1")
			l.Close()
			send(t, p.opener, p.acceptor, toAcceptor)
			send(t, p.acceptor, p.opener, toOpener)
			time.Sleep(50 * time.Millisecond) // a delayed acknowledgement is not to come after the filter
			test.close(t, p)
			openerLocal, openerRemote := p.openerEnds()
			acceptorLocal, acceptorRemote := p.acceptorEnds()
			c := start(t) // it has never seen the connection open
			snap := eventually(t, c, "the states", func(snap *model.Snapshot) bool {
				return inState(openerLocal, openerRemote, test.opener)(snap) && inState(acceptorLocal, acceptorRemote, test.acceptor)(snap)
			})
			opener := snap.Connection(find(t, snap, openerLocal, openerRemote))
			acceptor := snap.Connection(find(t, snap, acceptorLocal, acceptorRemote))
			if opener.SendCount != toAcceptor || opener.RecvCount != toOpener {
				t.Errorf("opener sent %d, received %d, want %d, %d", opener.SendCount, opener.RecvCount, toAcceptor, toOpener)
			}
			if acceptor.SendCount != toOpener || acceptor.RecvCount != toAcceptor {
				t.Errorf("acceptor sent %d, received %d, want %d, %d", acceptor.SendCount, acceptor.RecvCount, toOpener, toAcceptor)
			}
			if opener.Incoming || !acceptor.Incoming {
				t.Errorf("incoming: opener %v, acceptor %v, want false, true", opener.Incoming, acceptor.Incoming)
			}
			if opener.State != test.opener.PeerState() || acceptor.State != test.acceptor.PeerState() {
				t.Errorf("state %q and %q, want %q and %q", opener.State, acceptor.State, test.opener.PeerState(), test.acceptor.PeerState())
			}
		})
	}
}

func closeWrite(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}
