package main

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

// sight is a socket of a snapshot that a test makes by hand.
type sight struct {
	state         model.TCPState
	local, remote string
	recv, sent    uint64
	known         model.Known
	cookie        uint64
}

// snapshotOf returns a snapshot of sights; the owner of each is an index into owners or model.NoOwner.
func snapshotOf(owners []model.Owner, sights ...sight) *model.Snapshot {
	snap := &model.Snapshot{Owners: owners}
	for _, s := range sights {
		local, remote := netip.MustParseAddrPort(s.local), netip.MustParseAddrPort(s.remote)
		snap.Sockets = append(snap.Sockets, model.Socket{
			State: s.state, Cookie: s.cookie, BytesReceived: s.recv, BytesSent: s.sent,
			LocalIP: local.Addr().As16(), LocalPort: local.Port(), RemoteIP: remote.Addr().As16(), RemotePort: remote.Port(),
		})
		snap.Known = append(snap.Known, s.known)
	}
	return snap
}

func TestConnectionTable(t *testing.T) {
	owners := []model.Owner{{PID: 812, Name: "monerod"}, {PID: 4194304, Name: "Web Content"}, {PID: 7, Name: "\x1b[2J\nx"}}
	for _, tc := range []struct {
		name string
		snap *model.Snapshot
		want string
	}{
		{
			"no socket", snapshotOf(nil),
			"DIR  STATE  LOCAL  REMOTE  AGE  RECV  SENT  PID  PROCESS\n",
		},
		{
			"no connection",
			snapshotOf(
				owners,
				sight{state: model.Listen, local: "0.0.0.0:18080", remote: "0.0.0.0:0"},
				sight{state: model.TimeWait, local: "192.0.2.1:5000", remote: "192.0.2.2:80"},
				sight{state: model.Close, local: "192.0.2.1:5001", remote: "192.0.2.2:80"},
			),
			"DIR  STATE  LOCAL  REMOTE  AGE  RECV  SENT  PID  PROCESS\n",
		},
		{
			"every column",
			snapshotOf(
				owners,
				sight{
					state: model.Established, local: "192.0.2.1:18080", remote: "[2001:db8::9]:50000", recv: 1536, sent: 1 << 20,
					known: model.Known{Age: 51 * time.Hour, AgeExact: true, Incoming: true, Owner: 0},
				},
				sight{
					state: model.Established, local: "[2001:db8::1]:40000", remote: "[2001:db8::2]:443", recv: 1, sent: 1023,
					known: model.Known{Age: 192*time.Second + 999*time.Millisecond, Owner: 1},
				},
				sight{
					state: model.SynSent, local: "192.0.2.1:40001", remote: "192.0.2.3:443",
					known: model.Known{Age: 4*time.Hour + 5*time.Minute, AgeExact: true, Owner: 2},
				},
				sight{
					state: model.FinWait1, local: "[::ffff:192.0.2.1]:18080", remote: "[::ffff:192.0.2.4]:1",
					known: model.Known{Age: 5 * time.Second, Incoming: true, Owner: model.NoOwner},
				},
			),
			"DIR  STATE        LOCAL                REMOTE               AGE     RECV  SENT  PID      PROCESS\n" +
				"out  ESTABLISHED  [2001:db8::1]:40000  [2001:db8::2]:443    >3m12s  1     1023  4194304  Web Content\n" +
				"out  SYN_SENT     192.0.2.1:40001      192.0.2.3:443        4h05m   0     0     7        \\x1b[2J\\nx\n" +
				"in   FIN_WAIT1    192.0.2.1:18080      192.0.2.4:1          >5s     0     0     -        -\n" +
				"in   ESTABLISHED  192.0.2.1:18080      [2001:db8::9]:50000  2d03h   1.5K  1.0M  812      monerod\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(connectionTable(connections(tc.snap)))); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// The order is one, whichever order the kernel gave.
func TestConnectionOrder(t *testing.T) {
	sorted := []sight{
		{local: "192.0.2.9:1", remote: "192.0.2.9:9", known: model.Known{Incoming: false}},
		{local: "192.0.2.1:2", remote: "192.0.2.2:1"},
		{local: "192.0.2.1:2", remote: "192.0.2.2:3"},
		{local: "192.0.2.1:2", remote: "192.0.2.10:2"},
		{local: "192.0.2.2:2", remote: "192.0.2.10:2"},
		{local: "192.0.2.2:2", remote: "192.0.2.10:2", cookie: 1},
		{local: "192.0.2.2:2", remote: "[2001:db8::1]:1"},
		{local: "192.0.2.1:10", remote: "192.0.2.1:1"},
		{local: "192.0.2.1:1", remote: "192.0.2.1:1", known: model.Known{Incoming: true}},
		{local: "192.0.2.1:2", remote: "192.0.2.1:1", known: model.Known{Incoming: true}},
	}
	for i := range sorted {
		sorted[i].state = model.Established
	}
	want := connections(snapshotOf(nil, sorted...))
	for name, order := range map[string]func([]model.Connection){
		"sorted":   func([]model.Connection) {},
		"reversed": slices.Reverse[[]model.Connection],
		"turned":   func(c []model.Connection) { slices.Reverse(c[:5]); slices.Reverse(c[5:]); slices.Reverse(c) },
	} {
		got := slices.Clone(want)
		order(got)
		slices.SortFunc(got, compareConnections)
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b model.Connection) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAgeText(t *testing.T) {
	const minute, hour, day = 60, 3600, 86400
	for _, tc := range []struct {
		seconds uint64
		want    string
	}{
		{0, "0s"},
		{5, "5s"},
		{minute - 1, "59s"},
		{minute, "1m00s"},
		{3*minute + 12, "3m12s"},
		{hour - 1, "59m59s"},
		{hour, "1h00m"},
		{4*hour + 5*minute + 59, "4h05m"},
		{day - 1, "23h59m"},
		{day, "1d00h"},
		{2*day + 4*hour - 1, "2d03h"},
		{400 * day, "400d00h"},
	} {
		if got := ageText(tc.seconds, true); got != tc.want {
			t.Errorf("ageText(%d, true) = %q, want %q", tc.seconds, got, tc.want)
		}
		if got := ageText(tc.seconds, false); got != ">"+tc.want {
			t.Errorf("ageText(%d, false) = %q, want %q", tc.seconds, got, ">"+tc.want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for _, tc := range []struct {
		n    uint64
		want string
	}{
		{0, "0"},
		{1, "1"},
		{1023, "1023"},
		{1024, "1.0K"},
		{1229, "1.2K"},
		{2047, "1.9K"},
		{10 << 10, "10.0K"},
		{1<<20 - 1, "1023.9K"},
		{1 << 20, "1.0M"},
		{3<<20 + 1<<19, "3.5M"},
		{1 << 30, "1.0G"},
		{1 << 40, "1.0T"},
		{1 << 50, "1.0P"},
		{1 << 60, "1.0E"},
		{math.MaxUint64, "15.9E"},
	} {
		if got := bytesText(tc.n); got != tc.want {
			t.Errorf("bytesText(%d) = %q, want %q", tc.n, got, tc.want)
		}
	}
}

func TestProcessText(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"", "-"},
		{"monerod", "monerod"},
		{"Web Content", "Web Content"},
		{"kworker/0:1-ev", "kworker/0:1-ev"},
		{"münze", "münze"},
		{`say "hi"`, `say "hi"`},
		{`a\b`, `a\\b`},
		{`\"`, `\\"`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\x1b]0;owned\a", `\x1b]0;owned\a`},
		{"\x7f\x00\v\f", `\x7f\x00\v\f`},
		{"\u009b2J", `\u009b2J`},             // CSI in one character
		{"a\u202egnp.exe", `a\u202egnp.exe`}, // right-to-left override
		{"\xff\x9b", `\xff\x9b`},
	} {
		if got := processText(tc.name); got != tc.want {
			t.Errorf("processText(%q) = %s, want %s", tc.name, got, tc.want)
		}
	}
}
