//go:build linux

package collector_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/model"
)

// held is a socket of this process.
type held interface {
	File() (*os.File, error)
	Close() error
}

// keep has another process hold these sockets, and this one no longer.
func keep(t *testing.T, sockets ...held) (pid int32) {
	t.Helper()
	holder := exec.Command("cat")
	for _, s := range sockets {
		file, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		defer s.Close()
		holder.ExtraFiles = append(holder.ExtraFiles, file)
	}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := holder.Wait(); err != nil {
			t.Error(err)
		}
	})
	// Start returns before the kernel has set the new arguments.
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return int32(holder.Process.Pid)
}

// crowd makes more connections than a scope has to be among to be collected by itself, of which another process has both
// ends.
func crowd(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var sockets []held
	for range 2100 {
		opener, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		acceptor, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, opener.(*net.TCPConn), acceptor.(*net.TCPConn))
	}
	keep(t, sockets...)
}

// scoped are the connections of a scope, each in a line.
func scoped(snap *model.Snapshot, port uint16) (lines []string) {
	scope := snap.Scope(port)
	for i := range snap.Sockets {
		if scope.Match(snap, i) {
			s, known := &snap.Sockets[i], &snap.Known[i]
			state := s.State
			if state == model.FinWait1 { // until the acknowledgement comes
				state = model.FinWait2
			}
			lines = append(lines, fmt.Sprintf("%v - %v %v of %d, incoming %v, id %x, cookie %d, inode %d",
				s.Local(), s.Remote(), state, snap.Owner(i).PID, known.Incoming, known.ID, s.Cookie, s.Inode))
		}
	}
	slices.Sort(lines)
	return lines
}

// A scope among many sockets is collected by itself, and has what it has among all.
func TestScopeByItself(t *testing.T) {
	iterator, err := owner.OpenIterator()
	if err != nil {
		if os.Getuid() != 0 {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	defer iterator.Close()
	crowd(t)
	c := startWith(t, collector.HostOptions{Owners: iterator})
	node, rpc := listen(t, "tcp", "[::]:0"), listen(t, "tcp4", "127.0.0.1:0")
	port := addrOf(node.Addr()).Port()
	all := collector.Want{Owners: true, ListenerOwners: true}
	look(t, c, all) // so that it is known how many there are
	compare := func(when string, want int) {
		t.Helper()
		among := scoped(look(t, c, all), port)
		alone := all
		alone.Scope = port
		snap := look(t, c, alone)
		if len(snap.Sockets) > 100 {
			t.Errorf("%s: %d sockets were collected, want those of the scope and what listens", when, len(snap.Sockets))
		}
		if diff := cmp.Diff(among, scoped(snap, port)); diff != "" || len(among) != want {
			t.Errorf("%s: %d connections, want %d (-among all +by itself):\n%s", when, len(among), want, diff)
		}
	}
	compare("nothing is connected", 0)
	// This process holds both ends of each, and those that the other port accepted are not of the scope.
	first := connect(t, node, "tcp4", "127.0.0.1")
	second := connect(t, node, "tcp6", "::1")
	connect(t, rpc, "tcp4", "127.0.0.1")
	compare("three connections", 2+2+1)
	if err := second.opener.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	compare("one is half closed", 2+2+1)
	for _, end := range []net.Conn{first.opener, first.acceptor} {
		end.Close()
	}
	compare("one less", 2+1)

	// A worker has the listener to itself, and a connection: what it accepted is the scope, and what was opened from here is not.
	third := connect(t, node, "tcp4", "127.0.0.1")
	worker := keep(t, node, third.acceptor)
	compare("of a worker", 1)
	snap := look(t, c, collector.Want{Owners: true, ListenerOwners: true, Scope: port})
	if at := snap.Owner(find(t, snap, addrOf(third.opener.RemoteAddr()), addrOf(third.opener.LocalAddr()))); at == nil || at.PID != worker {
		t.Errorf("the worker's connection has owner %v, want %d", at, worker)
	}
	if got := scoped(look(t, c, collector.Want{Owners: true, ListenerOwners: true, Scope: 1}), 1); got != nil {
		t.Errorf("a port that nobody listens on: %v", got)
	}
}
