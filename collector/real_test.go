//go:build linux

package collector_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// start runs a collector of the test's namespace until the test ends.
func start(t *testing.T) *collector.Collector {
	t.Helper()
	return startIn(t, collector.NetNS{})
}

// startIn runs one of other namespaces.
func startIn(t *testing.T, namespaces collector.NetNS) *collector.Collector {
	t.Helper()
	return startWith(t, collector.HostOptions{NetNS: namespaces})
}

// startWith runs one with these options.
func startWith(t *testing.T, o collector.HostOptions) *collector.Collector {
	t.Helper()
	o.Services, o.OnDumpError = service.BuiltIn(), func(err error) { t.Errorf("sample: %v", err) }
	c, err := collector.NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

func look(t *testing.T, c *collector.Collector, want collector.Want) *model.Snapshot {
	t.Helper()
	snap, release, err := c.Snapshot(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return snap
}

// find returns the index of the socket with the given ends. The zero remote
// finds a listener.
func find(t *testing.T, snap *model.Snapshot, local, remote netip.AddrPort) int {
	t.Helper()
	at := -1
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		isListener := s.State == model.Listen
		if s.Local() == local && (isListener && !remote.IsValid() || !isListener && s.Remote() == remote) {
			if at >= 0 {
				t.Fatalf("%v - %v stands twice", local, remote)
			}
			at = i
		}
	}
	if at < 0 {
		t.Fatalf("no socket %v - %v among %d", local, remote, len(snap.Sockets))
	}
	return at
}

func addrOf(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// pair is a connection within the namespace.
type pair struct {
	opener, acceptor *net.TCPConn
}

func (p pair) openerEnds() (local, remote netip.AddrPort) {
	return addrOf(p.opener.LocalAddr()), addrOf(p.opener.RemoteAddr())
}

func (p pair) acceptorEnds() (local, remote netip.AddrPort) {
	return addrOf(p.acceptor.LocalAddr()), addrOf(p.acceptor.RemoteAddr())
}

func listen(t *testing.T, network, address string) *net.TCPListener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func connect(t *testing.T, l *net.TCPListener, network, host string) pair {
	t.Helper()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	opener, err := net.Dial(network, net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opener.Close() })
	acceptor, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { acceptor.Close() })
	return pair{opener.(*net.TCPConn), acceptor}
}

// send sends n bytes from one end and waits until the other has them all.
func send(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, n))
		done <- err
	}()
	buf := make([]byte, 64<<10)
	for got := 0; got < n; {
		m, err := to.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += m
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// eventually looks until ok says that the snapshot is what the test waits for:
// the kernel finishes a close or an acknowledgement in its own time.
func eventually(t *testing.T, c *collector.Collector, what string, ok func(*model.Snapshot) bool) *model.Snapshot {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if snap := look(t, c, collector.Want{}); ok(snap) {
			return snap
		}
	}
	t.Fatalf("%s did not come about", what)
	return nil
}

// inState returns a condition for eventually: the socket is in that state.
func inState(local, remote netip.AddrPort, state model.TCPState) func(*model.Snapshot) bool {
	return func(snap *model.Snapshot) bool {
		for i := range snap.Sockets {
			if s := &snap.Sockets[i]; s.State == state && s.Local() == local && s.Remote() == remote {
				return true
			}
		}
		return false
	}
}

func TestFamilies(t *testing.T) {
	tests := []struct {
		name, listenNetwork, listenAddress string
		dialNetwork, dialHost              string
		wantRemote                         string
		wantFamily                         model.Family // of the accepted socket
	}{
		{"IPv4", "tcp4", "127.0.0.1:0", "tcp4", "127.0.0.1", "127.0.0.1", model.IPv4},
		{"IPv6", "tcp6", "[::1]:0", "tcp6", "::1", "::1", model.IPv6},
		{"IPv4-mapped", "tcp", "[::]:0", "tcp4", "127.0.0.1", "127.0.0.1", model.IPv6},
	}
	c := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := connect(t, listen(t, test.listenNetwork, test.listenAddress), test.dialNetwork, test.dialHost)
			snap := look(t, c, collector.Want{})

			local, remote := p.openerEnds()
			if i := find(t, snap, local, remote); snap.Known[i].Incoming {
				t.Error("the opener's end is said to be incoming")
			}
			local, remote = p.acceptorEnds()
			i := find(t, snap, local, remote)
			if !snap.Known[i].Incoming {
				t.Error("the acceptor's end is said to be outgoing")
			}
			s := &snap.Sockets[i]
			if got := s.Remote().Addr().String(); got != test.wantRemote {
				t.Errorf("remote address %s, want %s", got, test.wantRemote)
			}
			if s.Family != test.wantFamily {
				t.Errorf("family %d, want %d", s.Family, test.wantFamily)
			}
			if s.State != model.Established {
				t.Errorf("state %s, want ESTABLISHED", s.State)
			}
			var stat unix.Stat_t
			raw, err := p.acceptor.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &stat) }); err != nil {
				t.Fatal(err)
			}
			if s.Inode != uint32(stat.Ino) {
				t.Errorf("inode %d, want %d", s.Inode, stat.Ino)
			}
			if s.UID != uint32(os.Getuid()) {
				t.Errorf("uid %d, want %d", s.UID, os.Getuid())
			}
			var cookie uint64
			if err := raw.Control(func(fd uintptr) { cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); err != nil {
				t.Fatal(err)
			}
			if s.Cookie != cookie {
				t.Errorf("cookie %d, want SO_COOKIE %d", s.Cookie, cookie)
			}
		})
	}
}

func TestListeners(t *testing.T) {
	c := start(t)
	for _, test := range []struct {
		network, address, want string
		v6only                 bool
		description            string
	}{
		{"tcp4", "0.0.0.0:0", "0.0.0.0", false, "Listening on all IPv4 interfaces"},
		{"tcp4", "127.0.0.1:0", "127.0.0.1", false, "Localhost only (IPv4)"},
		{"tcp4", "127.0.0.7:0", "127.0.0.7", false, "Localhost only (IPv4)"},
		{"tcp6", "[::]:0", "::", true, "Listening on all IPv6 interfaces"},
		{"tcp", "[::]:0", "::", false, "Listening on all IPv4 and IPv6 interfaces"},
		{"tcp6", "[::1]:0", "::1", true, "Localhost only (IPv6)"},
	} {
		t.Run(test.network+" "+test.address, func(t *testing.T) {
			l := listen(t, test.network, test.address)
			local := netip.AddrPortFrom(netip.MustParseAddr(test.want), addrOf(l.Addr()).Port())
			snap := look(t, c, collector.Want{Owners: true, Listeners: true})
			i := find(t, snap, local, netip.AddrPort{})
			s := &snap.Sockets[i]
			if s.V6Only != test.v6only {
				t.Errorf("IPv6 only: %v, want %v", s.V6Only, test.v6only)
			}
			if got := snap.DescribeBind(i); got != test.description {
				t.Errorf("described as %q, want %q", got, test.description)
			}
			comm, err := os.ReadFile("/proc/self/comm")
			if err != nil {
				t.Fatal(err)
			}
			want := model.Owner{
				PID: int32(os.Getpid()), Name: strings.TrimSpace(string(comm)), Container: model.NoContainer,
				Label: "connectionsd", Icon: "connectionsd", Command: strings.Join(os.Args, " "),
			}
			if owner := snap.Owner(i); owner == nil || *owner != want {
				t.Errorf("owner %+v, want %+v", owner, want)
			}
		})
	}
}

// A listener at one address of an interface, or bound to the interface itself, is
// told with the interface's name, in other namespaces too.
func TestListenersOfOneInterface(t *testing.T) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"192.0.2.7/32", "2001:db8::7/128"} {
		parsed, err := netlink.ParseAddr(address)
		if err != nil {
			t.Fatal(err)
		}
		parsed.Flags = unix.IFA_F_NODAD // usable at once
		if err := netlink.AddrAdd(lo, parsed); err != nil {
			t.Fatalf("add %s: %v", address, err)
		}
		t.Cleanup(func() { netlink.AddrDel(lo, parsed) })
	}
	bound := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") }), err)
	}}
	c := start(t)
	for _, test := range []struct{ network, address, want string }{
		{"tcp4", "192.0.2.7:0", "Listening on lo only (IPv4)"},
		{"tcp6", "[2001:db8::7]:0", "Listening on lo only (IPv6)"},
		{"device tcp4", "0.0.0.0:0", "Listening on lo only (IPv4)"},
		{"device tcp", "[::]:0", "Listening on lo only (IPv4 and IPv6)"},
	} {
		network, config := test.network, net.ListenConfig{}
		if device, ok := strings.CutPrefix(network, "device "); ok {
			network, config = device, bound
		}
		l, err := config.Listen(t.Context(), network, test.address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		snap := look(t, c, collector.Want{Listeners: true})
		if got := snap.DescribeBind(find(t, snap, addrOf(l.Addr()), netip.AddrPort{})); got != test.want {
			t.Errorf("%s %s is described as %q, want %q", test.network, test.address, got, test.want)
		}
	}
}

// A connection that gets no answer: the accept queue of the listener is full,
// so the kernel drops the SYN.
func TestHalfOpen(t *testing.T) {
	c := start(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil { // room for one
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	remote := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	first, err := net.Dial("tcp4", remote.String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()

	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(second)
	if err := unix.Connect(second, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(remote.Port())}); err != unix.EINPROGRESS {
		t.Fatalf("connect: %v, want EINPROGRESS", err)
	}
	name, err = unix.Getsockname(second)
	if err != nil {
		t.Fatal(err)
	}
	local := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))

	snap := look(t, c, collector.Want{})
	i := find(t, snap, local, remote)
	if got := snap.Sockets[i].State; got != model.SynSent {
		t.Fatalf("state %s, want SYN_SENT", got)
	}
	r := snap.Connection(i)
	want := model.Connection{ID: r.ID, Remote: remote, State: "before_handshake"}
	if r != want {
		t.Errorf("record\n%+v, want\n%+v", r, want)
	}

	// The accept queue's own connection has no file yet, and a direction all the same.
	i = find(t, snap, remote, addrOf(first.LocalAddr()))
	if s := &snap.Sockets[i]; s.Inode != 0 || !snap.Known[i].Incoming {
		t.Errorf("in the accept queue: inode %d, incoming %v, want 0, true", s.Inode, snap.Known[i].Incoming)
	}
}

// The two ends of a connection go through the closing states. Payload counts
// stay what they were: a FIN is no byte.
func TestClosing(t *testing.T) {
	c := start(t)
	for _, halfClosedByOpener := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed by the opener first: %v", halfClosedByOpener), func(t *testing.T) {
			p := connect(t, listen(t, "tcp4", "127.0.0.1:0"), "tcp4", "127.0.0.1")
			send(t, p.opener, p.acceptor, 1000)
			send(t, p.acceptor, p.opener, 300)
			closer := p.acceptor
			if halfClosedByOpener {
				closer = p.opener
			}
			if err := closer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			openerLocal, openerRemote := p.openerEnds()
			acceptorLocal, acceptorRemote := p.acceptorEnds()
			openerState, acceptorState := model.FinWait2, model.CloseWait
			if !halfClosedByOpener {
				openerState, acceptorState = model.CloseWait, model.FinWait2
			}
			// A new collector, that has never seen the connection open, and the old one.
			for name, c := range map[string]*collector.Collector{"new": start(t), "old": c} {
				eventually(t, c, "the half-closed state", func(snap *model.Snapshot) bool {
					return inState(openerLocal, openerRemote, openerState)(snap) &&
						inState(acceptorLocal, acceptorRemote, acceptorState)(snap)
				})
				snap := look(t, c, collector.Want{})
				opener := snap.Connection(find(t, snap, openerLocal, openerRemote))
				acceptor := snap.Connection(find(t, snap, acceptorLocal, acceptorRemote))
				if opener.SendCount != 1000 || opener.RecvCount != 300 {
					t.Errorf("%s: opener sent %d, received %d, want 1000, 300", name, opener.SendCount, opener.RecvCount)
				}
				if acceptor.SendCount != 300 || acceptor.RecvCount != 1000 {
					t.Errorf("%s: acceptor sent %d, received %d, want 300, 1000", name, acceptor.SendCount, acceptor.RecvCount)
				}
				if opener.Incoming || !acceptor.Incoming {
					t.Errorf("%s: incoming: opener %v, acceptor %v, want false, true", name, opener.Incoming, acceptor.Incoming)
				}
				if opener.State != "standby" || acceptor.State != "standby" {
					t.Errorf("%s: state %q and %q, want standby", name, opener.State, acceptor.State)
				}
			}
		})
	}
}

// When both are closed there is no connection any more, and so no record.
func TestClosed(t *testing.T) {
	c := start(t)
	p := connect(t, listen(t, "tcp4", "127.0.0.1:0"), "tcp4", "127.0.0.1")
	local, _ := p.openerEnds()
	p.opener.Close()
	p.acceptor.Close()
	eventually(t, c, "the end of the connection", func(snap *model.Snapshot) bool {
		for i := range snap.Sockets {
			s := &snap.Sockets[i]
			if s.State != model.Listen && (s.Local() == local || s.Remote() == local) {
				return false
			}
			if s.State == model.TimeWait {
				t.Errorf("a socket in TIME_WAIT in the snapshot: %v - %v", s.Local(), s.Remote())
			}
		}
		return true
	})
}

// The direction holds where the listener is gone before the first look.
func TestDirectionWithoutListener(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0")
	quiet := connect(t, l, "tcp4", "127.0.0.1")
	busy := connect(t, l, "tcp4", "127.0.0.1")
	send(t, busy.acceptor, busy.opener, 1<<20)
	send(t, busy.opener, busy.acceptor, 70000)
	l.Close()
	c := start(t)
	for name, p := range map[string]pair{"quiet": quiet, "busy": busy} {
		snap := look(t, c, collector.Want{})
		local, remote := p.openerEnds()
		if snap.Known[find(t, snap, local, remote)].Incoming {
			t.Errorf("%s: the opener's end is said to be incoming", name)
		}
		local, remote = p.acceptorEnds()
		if !snap.Known[find(t, snap, local, remote)].Incoming {
			t.Errorf("%s: the acceptor's end is said to be outgoing", name)
		}
	}
}

// Data that is queued and in flight does not hide who opened the connection.
func TestDirectionWithDataInFlight(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0")
	p := connect(t, l, "tcp4", "127.0.0.1")
	l.Close()
	data := make([]byte, 64<<20)
	for _, conn := range []net.Conn{p.opener, p.acceptor} { // nobody reads: the windows fill
		if err := conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(data); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write: %v, want it to be held up", err)
		}
	}
	snap := look(t, start(t), collector.Want{})
	local, remote := p.openerEnds()
	i := find(t, snap, local, remote)
	if s := &snap.Sockets[i]; s.SendQueue == 0 {
		t.Error("nothing is queued: the test tests nothing")
	}
	if snap.Known[i].Incoming {
		t.Error("the opener's end is said to be incoming")
	}
	local, remote = p.acceptorEnds()
	if !snap.Known[find(t, snap, local, remote)].Incoming {
		t.Error("the acceptor's end is said to be outgoing")
	}
}

// A connection that was opened from a port that has a listener is outgoing all
// the same.
func TestDirectionFromAListeningPort(t *testing.T) {
	c := start(t)
	reuse := func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); cerr != nil {
			return cerr
		}
		return err
	}
	config := net.ListenConfig{Control: reuse}
	from, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to := listen(t, "tcp4", "127.0.0.2:0")
	dialer := net.Dialer{LocalAddr: from.Addr(), Control: reuse}
	opener, err := dialer.DialContext(t.Context(), "tcp4", to.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer opener.Close()
	snap := look(t, c, collector.Want{})
	if snap.Known[find(t, snap, addrOf(opener.LocalAddr()), addrOf(opener.RemoteAddr()))].Incoming {
		t.Error("outgoing connection from a listening port is said to be incoming")
	}
}

// A socket can be connected to itself: it opened that connection.
func TestConnectedToItself(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, name); err != nil {
		t.Fatal(err)
	}
	self := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	snap := look(t, start(t), collector.Want{})
	i := find(t, snap, self, self)
	if snap.Known[i].Incoming {
		t.Error("said to be incoming")
	}
	if age := snap.Known[i].Age; age > 10*time.Second {
		t.Errorf("age %v", age)
	}
}

// A connection whose handshake waits for the first data (TCP_DEFER_ACCEPT) is
// SYN_RECV at the acceptor, and the same connection when it is accepted.
func TestHandshakeAtTheAcceptor(t *testing.T) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30) }); cerr != nil {
			return cerr
		}
		return err
	}}
	l, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := start(t)
	look(t, c, collector.Want{}) // the collector is there before the connection
	opener, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer opener.Close()
	local, remote := addrOf(l.Addr()), addrOf(opener.LocalAddr())

	snap := look(t, c, collector.Want{Owners: true})
	before := snap.Connection(find(t, snap, local, remote))
	want := model.Connection{ID: before.ID, Remote: remote, State: "before_handshake", Incoming: true}
	if before != want {
		t.Errorf("record\n%+v, want\n%+v", before, want)
	}
	if owner := snap.Owner(find(t, snap, local, remote)); owner != nil {
		t.Errorf("owner %v of a socket that nobody has yet", owner)
	}

	if _, err := opener.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	acceptor, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer acceptor.Close()
	snap = look(t, c, collector.Want{})
	after := snap.Connection(find(t, snap, local, remote))
	if after.ID != before.ID {
		t.Errorf("connection_id changed from %x to %x", before.ID, after.ID)
	}
	if after.State != "normal" || !after.Incoming || after.RecvCount != 5 {
		t.Errorf("state %q, incoming %v, received %d, want normal, true, 5", after.State, after.Incoming, after.RecvCount)
	}
}

// pairs opens n connections and accepts them.
func pairs(tb testing.TB, n int) {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	for range n {
		opener, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { opener.Close() })
		acceptor, err := l.Accept()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { acceptor.Close() })
	}
}

// BenchmarkSnapshot is one fresh snapshot of 4,200 sockets and their listener,
// dump and history; "with owners" walks /proc as well. In the steady state
// nothing is allocated for a socket.
func BenchmarkSnapshot(b *testing.B) {
	pairs(b, 2100)
	for _, bench := range []struct {
		name string
		want collector.Want
	}{{"alone", collector.Want{}}, {"without tcp_info", collector.Want{NoInfo: true}}, {"with owners", collector.Want{Owners: true}}} {
		b.Run(bench.name, func(b *testing.B) {
			c, err := collector.NewHost(collector.HostOptions{OnDumpError: func(err error) { b.Errorf("sample: %v", err) }})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { c.Run(ctx); close(done) }()
			defer func() { cancel(); <-done }()
			b.ReportAllocs()
			sockets := 0
			for b.Loop() {
				snap, release, err := c.Snapshot(ctx, bench.want)
				if err != nil {
					b.Fatal(err)
				}
				sockets = len(snap.Sockets)
				release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sockets), "ns/socket")
		})
	}
}
