//go:build linux

package taskfile

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// told is a Connection in words.
type told struct {
	Inode, NetNS  uint32
	Local, Remote string
	Interface     uint32
	Family        uint16
	Protocol      uint16
}

func tell(c Connection) told {
	addr := func(ip [16]byte, port uint16) string {
		if c.Family == unix.AF_INET {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[:4])), port).String()
		}
		return netip.AddrPortFrom(netip.AddrFrom16(ip), port).String()
	}
	return told{
		Inode: c.Inode, NetNS: c.NetNS, Interface: c.Interface, Family: c.Family, Protocol: c.Protocol,
		Local: addr(c.Local, c.LocalPort), Remote: addr(c.Remote, binary.BigEndian.Uint16(c.RemotePort[:])),
	}
}

// of returns the connections of this process, by inode.
func of(t *testing.T, p *Program, pid int) map[uint32]told {
	t.Helper()
	list, err := p.Connections(t.Context(), int32(pid), nil)
	if errors.Is(err, ErrNoConnections) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	connections := make(map[uint32]told)
	for _, c := range list {
		connections[c.Inode] = tell(c)
	}
	return connections
}

func descriptor(t *testing.T, c interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestConnections(t *testing.T) {
	p, ok := load(t)
	if !ok {
		return
	}
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &ns); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		network, listen, dial string
		dialFamily, family    uint16 // of who opened, and of who accepted
		dialled, accepted     string // the addresses, of which the port is left out
	}{
		{"tcp4", "127.0.0.1:0", "127.0.0.1", unix.AF_INET, unix.AF_INET, "127.0.0.1", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1", unix.AF_INET6, unix.AF_INET6, "::1", "::1"},
		{"tcp", "[::]:0", "127.0.0.1", unix.AF_INET, unix.AF_INET6, "127.0.0.1", "::ffff:127.0.0.1"},
	} {
		l, err := net.Listen(test.network, test.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		opener, err := net.Dial("tcp", net.JoinHostPort(test.dial, port))
		if err != nil {
			t.Fatal(err)
		}
		defer opener.Close()
		acceptor, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer acceptor.Close()
		_, ephemeral, _ := net.SplitHostPort(opener.LocalAddr().String())
		listener := inode(t, int(descriptor(t, l.(*net.TCPListener)).Fd()))
		opens := inode(t, int(descriptor(t, opener.(*net.TCPConn)).Fd()))
		accepts := inode(t, int(descriptor(t, acceptor.(*net.TCPConn)).Fd()))
		connections := of(t, p, os.Getpid())
		want := told{
			Inode: opens, NetNS: uint32(ns.Ino), Family: test.dialFamily, Protocol: unix.IPPROTO_TCP,
			Local: net.JoinHostPort(test.dialled, ephemeral), Remote: net.JoinHostPort(test.dialled, port),
		}
		if diff := cmp.Diff(want, connections[opens]); diff != "" {
			t.Errorf("%s: who opened (-want +got):\n%s", test.network, diff)
		}
		if connections[accepts].Protocol == mptcp { // Go listens with MPTCP where the kernel has it
			continue
		}
		want = told{
			Inode: accepts, NetNS: uint32(ns.Ino), Family: test.family, Protocol: unix.IPPROTO_TCP,
			Local: net.JoinHostPort(test.accepted, port), Remote: net.JoinHostPort(test.accepted, ephemeral),
		}
		if diff := cmp.Diff(want, connections[accepts]); diff != "" {
			t.Errorf("%s: who accepted (-want +got):\n%s", test.network, diff)
		}
		if c, ok := connections[listener]; ok {
			t.Errorf("%s: the listener is told of: %v", test.network, c)
		}
	}
}

// What was never connected is no connection, and one of MPTCP is told to be that.
func TestConnectionsOfOthers(t *testing.T) {
	p, ok := load(t)
	if !ok {
		return
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if c, ok := of(t, p, os.Getpid())[inode(t, fd)]; ok {
		t.Errorf("a socket that was never connected is told of: %v", c)
	}
	var listening net.ListenConfig
	listening.SetMultipathTCP(true)
	l, err := listening.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dialing net.Dialer
	dialing.SetMultipathTCP(true)
	opener, err := dialing.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer opener.Close()
	multipath, err := opener.(*net.TCPConn).MultipathTCP()
	if err != nil {
		t.Fatal(err)
	}
	want := uint16(unix.IPPROTO_TCP)
	if multipath {
		want = mptcp
	}
	if c := of(t, p, os.Getpid())[inode(t, int(descriptor(t, opener.(*net.TCPConn)).Fd()))]; c.Protocol != want {
		t.Errorf("%+v, want protocol %d", c, want)
	}
}

// A process has what it holds, and one that has left has nothing.
func TestConnectionsOfAnotherProcess(t *testing.T) {
	p, ok := load(t)
	if !ok {
		return
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := descriptor(t, conn.(*net.TCPConn))
	other := exec.Command("cat")
	other.Stdin = file
	held, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	connections := of(t, p, other.Process.Pid)
	if _, ok := connections[inode(t, int(file.Fd()))]; !ok || len(connections) != 1 {
		t.Errorf("the other process has %v, want the connection that it was given", connections)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // which says that it was killed
	if connections := of(t, p, other.Process.Pid); len(connections) != 0 {
		t.Errorf("a process that has left has %v", connections)
	}
}
