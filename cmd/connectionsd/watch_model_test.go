package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
)

// watcherOf returns a watch with args on a screen, and what it told.
func watcherOf(t *testing.T, width, height int, args ...string) (w *watcher, told *[]string) {
	t.Helper()
	cmd := newWatchCommand(program{})
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	o, err := resolveLook(cmd.Flags(), watchOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told = new([]string)
	w = newWatcher(&o, false, func(listeners, paused bool) {
		*told = append(*told, fmt.Sprintf("listeners %t paused %t", listeners, paused))
	})
	w.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return w, told
}

// pressed is the message of a key, by the name that tea gives it.
func pressed(name string) tea.KeyPressMsg {
	special := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "enter": tea.KeyEnter, "esc": tea.KeyEscape,
		"space": tea.KeySpace, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown, "end": tea.KeyEnd, "home": tea.KeyHome,
	}
	if name == "ctrl+c" {
		return tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
	}
	if code, ok := special[name]; ok {
		text := ""
		if name == "space" {
			text = " "
		}
		return tea.KeyPressMsg{Code: code, Text: text}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// press presses keys, and reports whether the last ended it.
func press(w *watcher, names ...string) (ended bool) {
	for _, name := range names {
		_, cmd := w.Update(pressed(name))
		ended = false
		if cmd != nil {
			_, ended = cmd().(tea.QuitMsg)
		}
	}
	return ended
}

// twoSights are two looks a second apart at three connections.
func twoSights() (first, second sight) {
	at := func(s string) end { return end{addr: netip.MustParseAddrPort(s)} }
	entries := func(recv, sent uint64) []entry {
		return []entry{
			{id: "a", incoming: true, state: "ESTABLISHED", local: at("192.0.2.1:18080"), remote: at("198.51.100.7:50000"), recv: recv, sent: 10 * sent, liveTime: 60, exact: true, process: "monerod", socket: &socketRecord{PID: 812}},
			{id: "b", state: "ESTABLISHED", local: at("192.0.2.1:40000"), remote: at("198.51.100.8:443"), recv: 4 * recv, sent: sent, liveTime: 5, process: "curl", socket: &socketRecord{PID: 900}},
			{id: "c", state: "SYN_SENT", local: at("192.0.2.1:40001"), remote: at("198.51.100.9:443"), process: "Web Content", socket: &socketRecord{PID: 901}},
		}
	}
	return sight{entries: entries(1000, 100), at: time.Unix(100, 0)}, sight{entries: entries(3048, 200), at: time.Unix(101, 0)}
}

func TestWatch(t *testing.T) {
	w, _ := watcherOf(t, 110, 9)
	first, second := twoSights()
	w.Update(first)
	w.Update(second)
	want := []string{
		"connectionsd: this host, 3 connections, in and out, every 1s",
		"RECV/S   10.0Ki                                   █  SENT/S    1.0Ki                                   █",
		"DIR  STATE       LOCAL            REMOTE             AGE  RECV/S↓  RECENTLY  SENT/S  RECENTLY  PID  PROCESS",
		"out  ESTABLISH…  192.0.2.1:40000  198.51.100…:443    >5s    8.0Ki         █     100         █  900  curl",
		"in   ESTABLISH…  192.0.2.1:18080  198.51.1…:50000  1m00s    2.0Ki         █    1000         █  812  monerod",
		"out  SYN_SENT    192.0.2.1:40001  198.51.100…:443    >0s        0         ▁       0         ▁  901  Web Conte…",
		"", "",
		"q quit  s sort  r reverse  / filter  i in/out  l listeners  w wide  u units  space pause  ? help",
	}
	if diff := cmp.Diff(want, strings.Split(w.text(), "\n")); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
	press(w, "u")
	if got, want := strings.Split(w.text(), "\n")[1][:17], "RECV/S    10.2k "; !strings.HasPrefix(got, want) {
		t.Errorf("in other units %q, want %q", got, want)
	}
	press(w, "w")
	if got := strings.Split(w.text(), "\n")[2]; !strings.HasSuffix(got, ellipsis) {
		t.Errorf("all columns: %q", got)
	}
	press(w, "right", "right")
	if got, want := strings.Split(w.text(), "\n")[2], "  LOCAL            REMOTE "; !strings.HasPrefix(got, want) {
		t.Errorf("further to the right: %q, want %q", got, want)
	}
}

// Each key does what the help says.
func TestWatchKeys(t *testing.T) {
	const all = "b a c"
	for _, tc := range []struct {
		name   string
		args   []string
		keys   string
		order  string // of the ids that are shown
		title  string // in the first line
		footer string // in the last
	}{
		{"at first, the busiest first", nil, "", "b a c", "3 connections, in and out, every 1s", "q quit"},
		{"reverse", nil, "r", "c a b", "", ""},
		{"sorted as asked for", []string{"--sort=pid"}, "", "a b c", "", ""},
		{"sorted as asked for, reversed", []string{"--sort=pid"}, "r", "c b a", "", ""},
		{"sort by the column at the right", []string{"--columns=pid,recv", "--sort=pid"}, "s right", "b a c", "", "sort by recv"},
		{"and reverse", []string{"--columns=pid,recv", "--sort=pid"}, "s right r", "c a b", "", "sort by recv"},
		{"sort by the column at the left", []string{"--columns=pid,recv", "--sort=recv"}, "s left enter", "c b a", "", "q quit"},
		{"round the end", []string{"--columns=process,recv", "--sort=recv"}, "s right enter", "c b a", "", "q quit"},
		{"sort, and back", []string{"--columns=pid,recv", "--sort=pid"}, "s right esc", "a b c", "", "q quit"},
		{"in", nil, "i", "a", "1 of 3 connections, in, every 1s", ""},
		{"out", nil, "i i", "b c", "2 of 3 connections, out,", ""},
		{"both again", nil, "i i i", all, "3 connections, in and out", ""},
		{"typing", nil, "/ W e b", "c", "", "filter: Web"},
		{"in whichever case", nil, "/ c U R L enter", "b", "1 of 3 connections, in and out, with cURL, every 1s", "q quit"},
		{"backspace", nil, "/ c u r x backspace enter", "b", "with cur,", ""},
		{"a space is a letter", nil, "/ b space c enter", "c", "with b c,", ""},
		{"keys are letters", nil, "/ q enter", "", "0 of 3 connections", "q quit"},
		{"an address", nil, "/ 1 0 0 . 7 enter", "a", "", ""},
		{"back from the filter", nil, "/ c u r esc", all, "3 connections", ""},
		{"back to the filter", nil, "/ c u r enter / l x y esc", "b", "with cur,", ""},
		{"no filter any more", nil, "/ c u r enter esc", all, "3 connections", ""},
		{"at most", []string{"--limit=2"}, "", "b a", "2 of 3 connections", ""},
		{"paused", nil, "space", all, "in and out, paused", ""},
		{"help", nil, "?", "", "", "any key: back"},
		{"back from help", nil, "? x", all, "", "q quit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, _ := watcherOf(t, 200, 20, tc.args...)
			first, second := twoSights()
			w.Update(first)
			w.Update(second)
			if tc.keys != "" && press(w, strings.Fields(tc.keys)...) {
				t.Error("it has ended")
			}
			var ids []string
			if tc.name != "help" {
				for _, e := range w.shown() {
					ids = append(ids, e.id)
				}
			}
			if got := strings.Join(ids, " "); got != tc.order {
				t.Errorf("%s, want %s", got, tc.order)
			}
			lines := strings.Split(w.text(), "\n")
			if len(lines) != 20 || !strings.Contains(lines[0], tc.title) || !strings.Contains(lines[19], tc.footer) {
				t.Errorf("%d lines, want 20, the first with %q, the last with %q:\n%s", len(lines), tc.title, tc.footer, w.text())
			}
		})
	}
	for _, keys := range []string{"q", "ctrl+c", "/ ctrl+c", "s ctrl+c", "? q", "? ctrl+c", "space q"} {
		w, _ := watcherOf(t, 80, 24)
		if !press(w, strings.Fields(keys)...) {
			t.Errorf("%s does not end it", keys)
		}
	}
}

// While it is paused nothing changes, and whoever looks is told; so it is of listeners.
func TestWatchTells(t *testing.T) {
	w, told := watcherOf(t, 100, 10)
	first, second := twoSights()
	w.Update(first)
	press(w, "space")
	w.Update(second)
	if w.latest.at != first.at {
		t.Error("a look changed what is shown while it is paused")
	}
	press(w, "space", "l")
	w.Update(second) // was asked for before
	if len(w.shown()) != 0 || !strings.Contains(w.text(), "0 listeners, every 1s") {
		t.Errorf("connections among the listeners:\n%s", w.text())
	}
	w.Update(sight{listeners: true, entries: []entry{{local: end{text: "[::]:22"}, service: "SSH", process: "sshd", reach: "Listening on all IPv4 and IPv6 interfaces", socket: &socketRecord{PID: 7}}}})
	got := strings.Split(w.text(), "\n")
	want := []string{
		"connectionsd: this host, 1 listener, every 1s", "",
		"LOCAL    PID  PROCESS  SERVICE  CONTAINER  REACH",
		"[::]:22    7  sshd     SSH      -          Listening on all IPv4 and IPv6 interfaces",
	}
	if diff := cmp.Diff(want, got[:4]); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	press(w, "s", "r", "enter", "r", "l")
	w.Update(second)
	if len(w.shown()) != 3 {
		t.Errorf("no connections any more:\n%s", w.text())
	}
	if diff := cmp.Diff([]string{"listeners false paused true", "listeners false paused false", "listeners true paused false", "listeners false paused false"}, *told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// An error is shown, and what was seen before it stays.
func TestWatchShowsErrors(t *testing.T) {
	w, _ := watcherOf(t, 100, 10)
	first, second := twoSights()
	w.Update(first)
	w.Update(sight{err: errors.New("ask the daemon at \x1b: refused")})
	lines := strings.Split(w.text(), "\n")
	if lines[1] != `ask the daemon at \x1b: refused` || !strings.Contains(lines[0], "3 connections") {
		t.Errorf("%q", lines[:2])
	}
	w.Update(second)
	if got := strings.Split(w.text(), "\n")[1]; !strings.HasPrefix(got, "RECV/S   10.0Ki ") {
		t.Errorf("after the next look: %q", got)
	}
}

// However small the screen is, what is drawn is as large, and the line that is selected is on it.
func TestWatchFitsTheScreen(t *testing.T) {
	var entries []entry
	for i := range 100 {
		entries = append(entries, entry{id: fmt.Sprint(i), process: fmt.Sprintf("p%02d-漢字", i), state: "ESTABLISHED"})
	}
	for _, size := range [][2]int{{200, 50}, {80, 24}, {61, 7}, {60, 5}, {20, 3}, {5, 2}, {1, 1}} {
		for _, keys := range []string{"", "w", "w right right", "?", "s", "/ x"} {
			w, _ := watcherOf(t, size[0], size[1], "--sort=process")
			w.Update(sight{entries: entries, at: time.Unix(1, 0)})
			press(w, strings.Fields(keys)...)
			lines := strings.Split(w.text(), "\n")
			if len(lines) != size[1] {
				t.Errorf("%v, %s: %d lines", size, keys, len(lines))
			}
			for _, line := range lines {
				if widthOf(line) > size[0] {
					t.Errorf("%v, %s: %d cells in %q", size, keys, widthOf(line), line)
				}
			}
		}
	}
	for keys, want := range map[string]string{"": "p00", "down j": "p02", "end": "p99", "end up k": "p97", "pgdown": "p20", "end home": "p00", "up": "p00", "pgdown pgdown pgdown pgdown pgdown pgdown": "p99"} {
		w, _ := watcherOf(t, 80, 24, "--sort=process")
		w.colour = true
		w.Update(sight{entries: entries, at: time.Unix(1, 0)})
		press(w, strings.Fields(keys)...)
		if _, line, _ := strings.Cut(w.text(), "\x1b[7m"); !strings.Contains(strings.SplitN(line, "\n", 2)[0], want) {
			t.Errorf("%s: selected is %q, want %s", keys, strings.SplitN(line, "\n", 2)[0], want)
		}
	}
}

func TestWatchUsage(t *testing.T) {
	for _, tc := range []struct{ args, stderr string }{
		{"", "stdout is no terminal: want one, or watch --once, or list"},
		{"--interval=1ms", `--interval "1ms": want a time from 100ms to 1h, such as 500ms, 2s or 1m`},
		{"--interval=1", `--interval "1": want a time from 100ms to 1h, such as 500ms, 2s or 1m`},
		{"--pid=0", "--pid: want the number of a process, from 1 to 2147483647, not 0"},
		{"--json", `unknown flag "--json"; see connectionsd watch --help`},
		{"now", `unexpected argument "now": want only flags; see connectionsd watch --help`},
	} {
		code, stdout, stderr := runCommand(t, nil, append([]string{"watch"}, strings.Fields(tc.args)...)...)
		if want := "connectionsd: " + tc.stderr + "\n"; code != exitUsage || stdout != "" || stderr != want {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q, want 2 and %q", tc.args, code, stdout, stderr, want)
		}
	}
}
