package main

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines are connections of which every column has something to show, or nothing.
func lines() []entry {
	at := func(s string) end { return end{addr: netip.MustParseAddrPort(s)} }
	return []entry{
		{
			incoming: true, state: "ESTABLISHED", local: at("192.0.2.1:18080"), remote: at("[2001:db8::9]:50000"),
			recv: 1536, sent: 1 << 20, liveTime: 51 * 3600, exact: true, process: "monerod", container: "node",
			socket: &socketRecord{PID: 812},
		},
		{
			state: "ESTABLISHED", local: at("[2001:db8::1]:40000"), remote: at("[2001:db8::2]:443"),
			recv: 1, sent: 1023, liveTime: 192, process: "Web Content", socket: &socketRecord{PID: 4194304},
		},
		{
			state: "SYN_SENT", local: at("192.0.2.1:40001"), remote: at("192.0.2.3:443"), liveTime: 4*3600 + 5*60, exact: true,
			process: "\x1b[2J\nx", socket: &socketRecord{PID: 7},
		},
		{incoming: true, state: "FIN_WAIT1", local: at("192.0.2.1:18080"), remote: at("192.0.2.4:1"), liveTime: 5, socket: &socketRecord{}},
	}
}

// tableOf returns the table of entries on a screen, in the default order.
func tableOf(t *testing.T, entries []entry, s screen, args ...string) string {
	t.Helper()
	o := optionsOf(t, args...)
	sortEntries(entries, o.sort)
	return string(newTable(entries, &o, s).text(!o.noHeader, s.colour))
}

// optionsOf returns what args of list mean.
func optionsOf(t *testing.T, args ...string) lookOptions {
	t.Helper()
	cmd := newListCommand(program{})
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	o, err := resolveLook(cmd.Flags(), listOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTable(t *testing.T) {
	for _, tc := range []struct {
		name    string
		entries []entry
		screen  screen
		args    []string
		want    string
	}{
		{"nothing", nil, screen{}, nil, "DIR  STATE  LOCAL  REMOTE  AGE  RECV  SENT  PID  PROCESS  CONTAINER\n"},
		{"nothing at all", nil, screen{}, []string{"--no-header"}, ""},
		{
			// For awk: each cell is a word, and none is shortened.
			"no terminal", lines(),
			screen{},
			nil,
			"DIR  STATE        LOCAL                REMOTE                  AGE   RECV   SENT      PID  PROCESS         CONTAINER\n" +
				"out  ESTABLISHED  [2001:db8::1]:40000  [2001:db8::2]:443    >3m12s      1   1023  4194304  Web\\x20Content  -\n" +
				"out  SYN_SENT     192.0.2.1:40001      192.0.2.3:443         4h05m      0      0        7  \\x1b[2J\\nx      -\n" +
				"in   FIN_WAIT1    192.0.2.1:18080      192.0.2.4:1             >5s      0      0        -  -               -\n" +
				"in   ESTABLISHED  192.0.2.1:18080      [2001:db8::9]:50000   2d03h  1.5Ki  1.0Mi      812  monerod         node\n",
		},
		{
			"a wide terminal", lines()[:2],
			screen{isTerminal: true, width: 113},
			nil,
			"DIR  STATE        LOCAL                REMOTE                  AGE   RECV   SENT      PID  PROCESS      CONTAINER\n" +
				"out  ESTABLISHED  [2001:db8::1]:40000  [2001:db8::2]:443    >3m12s      1   1023  4194304  Web Content  -\n" +
				"in   ESTABLISHED  192.0.2.1:18080      [2001:db8::9]:50000   2d03h  1.5Ki  1.0Mi      812  monerod      node\n",
		},
		{
			"some cells less wide", lines()[:2],
			screen{isTerminal: true, width: 105},
			nil,
			"DIR  STATE        LOCAL            REMOTE              AGE   RECV   SENT      PID  PROCESS      CONTAINER\n" +
				"out  ESTABLISHED  [2001:db…:40000  [2001:db8:…:443  >3m12s      1   1023  4194304  Web Content  -\n" +
				"in   ESTABLISHED  192.0.2.1:18080  [2001:db…:50000   2d03h  1.5Ki  1.0Mi      812  monerod      node\n",
		},
		{
			"80 columns", lines()[:2],
			screen{isTerminal: true, width: 80},
			nil,
			"DIR  STATE     LOCAL            REMOTE              AGE   RECV   SENT  PROCESS\n" +
				"out  ESTABLI…  [2001:db…:40000  [2001:db8:…:443  >3m12s      1   1023  Web Cont…\n" +
				"in   ESTABLI…  192.0.2.1:18080  [2001:db…:50000   2d03h  1.5Ki  1.0Mi  monerod\n",
		},
		{
			"columns of one's own do not leave", lines()[:2],
			screen{isTerminal: true, width: 30},
			[]string{"--columns=container,pid,remote"},
			"CONTAINER      PID  REMOTE\n-          4194304  [2001:db8:…:443\nnode           812  [2001:db…:50000\n",
		},
		{
			"colours", lines()[2:],
			screen{isTerminal: true, width: 200, colour: true},
			[]string{"--columns=dir,state,process"},
			"\x1b[1mDIR\x1b[0m  \x1b[1mSTATE\x1b[0m      \x1b[1mPROCESS\x1b[0m\n" +
				"\x1b[34mout\x1b[0m  \x1b[33mSYN_SENT\x1b[0m   \\x1b[2J\\nx\n" +
				"\x1b[32min\x1b[0m   \x1b[35mFIN_WAIT1\x1b[0m  \x1b[2m-\x1b[0m\n",
		},
		{
			"units", lines()[:1],
			screen{},
			[]string{"--columns=recv,sent", "--units=si"},
			"RECV  SENT\n1.5k  1.0M\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tableOf(t, tc.entries, tc.screen, tc.args...)); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the width, no line is wider than the terminal as long as the columns have room to leave.
func TestTableWidth(t *testing.T) {
	for width := 55; width < 130; width++ {
		for line := range strings.Lines(tableOf(t, lines(), screen{isTerminal: true, width: width})) {
			if got := widthOf(strings.TrimSuffix(line, "\n")); got > width {
				t.Errorf("a line of %d cells on a terminal of %d: %s", got, width, line)
			}
		}
	}
}

// What has another width than it has letters is measured as a terminal draws it.
func TestTableOfWideText(t *testing.T) {
	entries := []entry{{process: "漢字", state: "a"}, {process: "é́", state: "b"}, {process: "abc", state: "c"}}
	want := "PROCESS  STATE\n漢字     a\né́        b\nabc      c\n"
	if diff := cmp.Diff(want, tableOf(t, entries, screen{isTerminal: true, width: 80}, "--columns=process,state", "--sort=state")); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	o := optionsOf(t, "--csv")
	entries := append(lines(), entry{process: "=cmd|'/c calc'!A0", container: `a,"b"`, socket: &socketRecord{}})
	got, err := csvText(entries, &o)
	if err != nil {
		t.Fatal(err)
	}
	want := "dir,state,local,remote,age,recv,sent,pid,process,container,age-exact\n" +
		"in,ESTABLISHED,192.0.2.1:18080,[2001:db8::9]:50000,183600,1536,1048576,812,monerod,node,true\n" +
		"out,ESTABLISHED,[2001:db8::1]:40000,[2001:db8::2]:443,192,1,1023,4194304,Web Content,,false\n" +
		"out,SYN_SENT,192.0.2.1:40001,192.0.2.3:443,14700,0,0,7,\\x1b[2J\\nx,,true\n" +
		"in,FIN_WAIT1,192.0.2.1:18080,192.0.2.4:1,5,0,0,,,,false\n" +
		"out,,,,0,0,0,,\\x3dcmd|'/c calc'!A0,\"a,\"\"b\"\"\",false\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
}

// The order is one, whichever order the kernel gave.
func TestOrder(t *testing.T) {
	at := func(s string) end { return end{addr: netip.MustParseAddrPort(s)} }
	of := func(cookie uint64) *socketRecord { return &socketRecord{Cookie: cookie} }
	sorted := []entry{
		{local: at("192.0.2.9:1"), remote: at("192.0.2.9:9"), socket: of(1)},
		{local: at("192.0.2.1:2"), remote: at("192.0.2.2:1"), socket: of(2)},
		{local: at("192.0.2.1:2"), remote: at("192.0.2.2:3"), socket: of(3)},
		{local: at("192.0.2.1:2"), remote: at("192.0.2.10:2"), socket: of(4)},
		{local: at("192.0.2.2:2"), remote: at("192.0.2.10:2"), socket: of(5)},
		{local: at("192.0.2.2:2"), remote: at("192.0.2.10:2"), socket: of(6)},
		{local: at("192.0.2.2:2"), remote: at("[2001:db8::1]:1"), socket: of(7)},
		{local: at("192.0.2.1:10"), remote: at("192.0.2.1:1"), socket: of(8)},
		{local: at("192.0.2.1:1"), remote: at("192.0.2.1:1"), incoming: true, socket: of(9)},
		{local: at("192.0.2.1:2"), remote: at("192.0.2.1:1"), incoming: true, socket: of(10)},
	}
	cookies := func(entries []entry) (all []uint64) {
		for _, e := range entries {
			all = append(all, e.socket.Cookie)
		}
		return all
	}
	for _, tc := range []struct {
		sort string
		want []uint64
	}{
		{"", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"-cookie", []uint64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"remote,-cookie", []uint64{10, 9, 8, 2, 3, 1, 6, 5, 4, 7}},
		{"-dir", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"dir", []uint64{9, 10, 1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		args := []string{}
		if tc.sort != "" {
			args = append(args, "--sort", tc.sort)
		}
		o := optionsOf(t, args...)
		for name, order := range map[string]func([]entry){
			"sorted":   func([]entry) {},
			"reversed": slices.Reverse[[]entry],
			"turned":   func(c []entry) { slices.Reverse(c[:5]); slices.Reverse(c[5:]); slices.Reverse(c) },
		} {
			got := slices.Clone(sorted)
			order(got)
			sortEntries(got, o.sort)
			if diff := cmp.Diff(tc.want, cookies(got)); diff != "" {
				t.Errorf("%s, sorted by %q (-want +got):\n%s", name, tc.sort, diff)
			}
		}
	}
}

// Every column can be shown and sorted by, of entries that know all and of those that know nothing, and has a name and a
// heading of its own.
func TestColumns(t *testing.T) {
	for _, listeners := range []bool{false, true} {
		names, headings := map[string]bool{}, map[string]bool{}
		for _, c := range columnsOf(listeners) {
			if names[c.name] || headings[c.heading] {
				t.Errorf("%s or %s stands there twice", c.name, c.heading)
			}
			names[c.name], headings[c.heading] = true, true
			full, empty := lines()[0], entry{}
			for _, u := range []units{unitsIEC, unitsRaw} {
				c.text(&full, u)
				c.text(&empty, u)
			}
			if c.order(&empty, &empty) != 0 || c.order(&full, &empty) != -c.order(&empty, &full) {
				t.Errorf("%s: the order is none", c.name)
			}
		}
	}
}

func TestDuration(t *testing.T) {
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
		if got := unitsIEC.duration(tc.seconds, true); got != tc.want {
			t.Errorf("duration(%d, true) = %q, want %q", tc.seconds, got, tc.want)
		}
		if got := unitsIEC.duration(tc.seconds, false); got != ">"+tc.want {
			t.Errorf("duration(%d, false) = %q, want %q", tc.seconds, got, ">"+tc.want)
		}
	}
	if got := unitsRaw.duration(day, false); got != "86400" {
		t.Errorf("for programs %q", got)
	}
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		n                uint64
		iec, si, inBytes string
	}{
		{0, "0", "0", "0"},
		{999, "999", "999", "999"},
		{1000, "1000", "1.0k", "1000"},
		{1023, "1023", "1.0k", "1023"},
		{1024, "1.0Ki", "1.0k", "1024"},
		{1229, "1.2Ki", "1.2k", "1229"},
		{2047, "1.9Ki", "2.0k", "2047"},
		{10 << 10, "10.0Ki", "10.2k", "10240"},
		{999_999, "976.5Ki", "999.9k", "999999"},
		{1<<20 - 1, "1023.9Ki", "1.0M", "1048575"},
		{1 << 20, "1.0Mi", "1.0M", "1048576"},
		{3<<20 + 1<<19, "3.5Mi", "3.6M", "3670016"},
		{1 << 30, "1.0Gi", "1.0G", "1073741824"},
		{1 << 40, "1.0Ti", "1.0T", "1099511627776"},
		{1 << 50, "1.0Pi", "1.1P", "1125899906842624"},
		{1 << 60, "1.0Ei", "1.1E", "1152921504606846976"},
		{math.MaxUint64, "15.9Ei", "18.4E", "18446744073709551615"},
	} {
		for u, want := range map[units]string{unitsIEC: tc.iec, unitsSI: tc.si, unitsBytes: tc.inBytes, unitsRaw: tc.inBytes} {
			if got := u.size(tc.n); got != want {
				t.Errorf("%s: size(%d) = %q, want %q", u, tc.n, got, want)
			}
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
		if got, want := wordText(tc.name), strings.ReplaceAll(tc.want, " ", `\x20`); got != want {
			t.Errorf("wordText(%q) = %s, want %s", tc.name, got, want)
		}
	}
}

func TestFieldText(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"", ""},
		{"a b", "a b"},
		{"a\nb", `a\nb`},
		{"=1", `\x3d1`},
		{"+1", `\x2b1`},
		{"-1", `\x2d1`},
		{"@1", `\x401`},
		{"1=", "1="},
	} {
		if got := fieldText(tc.name); got != tc.want {
			t.Errorf("fieldText(%q) = %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestShortened(t *testing.T) {
	for _, tc := range []struct {
		text       string
		width      int
		plain, end string
	}{
		{"192.0.2.1:443", 13, "192.0.2.1:443", "192.0.2.1:443"},
		{"192.0.2.1:443", 12, "192.0.2.1:4…", "192.0.2…:443"},
		{"[2001:db8::1]:65535", 12, "[2001:db8::…", "[2001…:65535"},
		{"192.0.2.1:443", 6, "192.0…", "1…:443"},
		{"192.0.2.1:443", 5, "192.…", "…:443"},
		{"192.0.2.1:443", 4, "192…", "192…"},
		{"漢字漢字", 5, "漢字…", "漢字…"},
		{"漢字漢字", 4, "漢…", "漢…"},
	} {
		if got := shortened(tc.text, tc.width); got != tc.plain {
			t.Errorf("shortened(%q, %d) = %q, want %q", tc.text, tc.width, got, tc.plain)
		}
		if got := shortenedEnd(tc.text, tc.width); got != tc.end {
			t.Errorf("shortenedEnd(%q, %d) = %q, want %q", tc.text, tc.width, got, tc.end)
		}
	}
}
