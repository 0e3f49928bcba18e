//go:build linux

package collector

import (
	"net"
	"testing"
	"time"
)

// As Linux 6.18 has them.
const (
	snmpFile = `Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 37
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 1234 567 1 2 3 4 5 6 7 8 9
Udp: InDatagrams NoPorts
Udp: 0 0
`
	sockstatFile = `sockets: used 9
TCP: inuse 12 orphan 1 tw 34 alloc 56 mem 177
UDP: inuse 0 mem 0
FRAG: inuse 0 memory 0
`
	sockstat6File = `TCP6: inuse 7
UDP6: inuse 3
`
)

func TestParseCounts(t *testing.T) {
	if n, failed, ok := parseOpened([]byte(snmpFile)); !ok || n != 1234+567 || failed != 1 {
		t.Errorf("%d opened, %d failed, %v, want 1801 and 1", n, failed, ok)
	}
	if n, ok := parseInUse([]byte(sockstatFile), "TCP:"); !ok || n != 12 {
		t.Errorf("%d in use, %v, want 12", n, ok)
	}
	if n, ok := parseInUse([]byte(sockstat6File), "TCP6:"); !ok || n != 7 {
		t.Errorf("%d in use, %v, want 7", n, ok)
	}
	for _, file := range []string{
		"", "Tcp:", "Tcp: ActiveOpens PassiveOpens\n", "Tcp: ActiveOpens PassiveOpens\nTcp: 1\n", "Tcp: ActiveOpens PassiveOpens AttemptFails\nTcp: 1 2 3", "Tcp: ActiveOpens PassiveOpens\nTcp: 1 2\n",
		"Tcp: ActiveOpens PassiveOpens AttemptFails\nTcp: 1 -2 3\n", "Tcp: ActiveOpens\nTcp: 1\n", "Tcp: ActiveOpens PassiveOpens AttemptFails\nTcp: 1 9223372036854775807 3\n",
		"TCP: inuse tw\n", "TCP: inuse 1", "TCP: tw 1 inuse\n", "TCP: inuse -1\n", "UDP: inuse 1\n", "TCP6: inuse\n", "TCP6:\n",
	} {
		_, _, opened := parseOpened([]byte(file))
		_, sockstat := parseInUse([]byte(file), "TCP:")
		_, sockstat6 := parseInUse([]byte(file), "TCP6:")
		if opened || sockstat || sockstat6 {
			t.Errorf("%q is taken for counts: %v, %v, %v", file, opened, sockstat, sockstat6)
		}
	}
}

// What has left is told by what was opened, by what failed and by what is there.
func TestLeftSince(t *testing.T) {
	before := counts{opened: 1000, inUse: 500, failed: 7}
	for name, test := range map[string]struct {
		opened, inUse, failed int64 // more than before
		want                  int64
	}{
		"nothing":                          {0, 0, 0, 0},
		"one was opened":                   {1, 1, 0, 1}, // it may have come in
		"one was closed":                   {0, -1, 0, 1},
		"one was opened and closed":        {1, 0, 0, 2},
		"one was coming in, and was reset": {0, 0, 1, 1},
		"one listens":                      {0, 1, 0, 0},
		"ten were replaced":                {10, 0, 0, 20},
		"a hundred were closed":            {0, -100, 0, 100},
		"the counts were not read at once": {0, 3, 0, 0},
	} {
		after := counts{opened: before.opened + test.opened, inUse: before.inUse + test.inUse, failed: before.failed + test.failed}
		if got := after.leftSince(before); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// The kernel counts the connections that are opened and closed within this namespace, of either family.
func TestCountsOfTheKernel(t *testing.T) {
	c := newCounters()
	if c == nil {
		t.Fatal("the files of this namespace cannot be opened")
	}
	defer c.close()
	read := func() counts {
		t.Helper()
		now, ok := c.read(0)
		if !ok {
			t.Fatal("the counts are not in the files")
		}
		return now
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		const pairs = 50
		before := read()
		var ends []net.Conn
		for range pairs {
			opener, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			acceptor, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, opener, acceptor)
		}
		opened := read()
		if n := opened.opened - before.opened; n != 2*pairs {
			t.Errorf("%s: %d were opened, want %d", address, n, 2*pairs)
		}
		if n := opened.inUse - before.inUse; n > 2*pairs {
			t.Errorf("%s: %d more are in use, want %d, less those that others closed", address, n, 2*pairs)
		}
		if n := opened.leftSince(before); n < 2*pairs {
			t.Errorf("%s: %d have left, want at least %d of connections that were coming in", address, n, 2*pairs)
		}
		for _, end := range ends {
			end.Close()
		}
		for since := time.Now(); read().leftSince(opened) < 2*pairs; time.Sleep(time.Millisecond) {
			if time.Since(since) > 10*time.Second {
				t.Fatalf("%s: %d have left, want at least %d", address, read().leftSince(opened), 2*pairs)
			}
		}
	}
}

// Whatever stands in the files, there is no count below zero, and none that is not there.
func FuzzParseCounts(f *testing.F) {
	for _, s := range []string{
		snmpFile, sockstatFile, sockstat6File, "Tcp: A\n", "Tcp: ActiveOpens PassiveOpens AttemptFails\nTcp: 1 2 3\n", "TCP: inuse 99999999999999999999 tw 1\n", "TCP: inuse -1 tw 0\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		opened, failed, openedOK := parseOpened(b)
		inUse, ok := parseInUse(b, "TCP:")
		inUse6, ok6 := parseInUse(b, "TCP6:")
		if openedOK && (opened < 0 || failed < 0) || ok && inUse < 0 || ok6 && inUse6 < 0 {
			t.Fatalf("%d, %d, %d", opened, inUse, inUse6)
		}
		if len(b) < 10 && (openedOK || ok || ok6) {
			t.Fatalf("%q is taken for counts", b)
		}
	})
}

// BenchmarkCounts is what it costs to see how many sockets have left.
func BenchmarkCounts(b *testing.B) {
	c := newCounters()
	defer c.close()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.read(0); !ok {
			b.Fatal("the counts are not in the files")
		}
	}
}

// Where the kernel does not tell, it is asked again after a minute.
func TestCountingThatFails(t *testing.T) {
	asked := 0
	c := counting{open: func() *counters { asked++; return nil }}
	for _, test := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {time.Second, 1}, {openAgain, 2}, {openAgain + time.Second, 2}} {
		if now, ok := c.count(test.at); ok || now != (counts{}) || asked != test.want {
			t.Errorf("at %v: %+v, %v, asked %d times, want %d and in vain", test.at, now, ok, asked, test.want)
		}
	}
	c.close()
}
