package main

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The rate of a connection is what its counters moved between two looks, over the time between them.
func TestRates(t *testing.T) {
	began := time.Unix(0, 0)
	type rate struct {
		Known      bool
		Recv, Sent uint64
	}
	var r rates
	for _, look := range []struct {
		after      time.Duration
		entries    []entry
		want       map[string]rate
		recv, sent []uint64 // of all
	}{
		{0, []entry{{id: "a", recv: 1000, sent: 5}, {id: "b"}}, map[string]rate{"a": {}, "b": {}}, nil, nil},
		{
			2 * time.Second,
			[]entry{{id: "a", recv: 3000, sent: 5}, {id: "b", recv: 10, sent: 100}, {id: "c", recv: 7}},
			map[string]rate{"a": {true, 1000, 0}, "b": {true, 5, 50}, "c": {}},
			[]uint64{1005},
			[]uint64{50},
		},
		{
			// b has gone, and a is another a.
			2500 * time.Millisecond,
			[]entry{{id: "a", recv: 10, sent: 15}, {id: "c", recv: 8}},
			map[string]rate{"a": {true, 0, 20}, "c": {true, 2, 0}},
			[]uint64{1005, 2},
			[]uint64{50, 20},
		},
		{
			3500 * time.Millisecond,
			[]entry{{id: "b", recv: 1 << 40, sent: 1 << 40}},
			map[string]rate{"b": {}},
			[]uint64{1005, 2, 0},
			[]uint64{50, 20, 0},
		},
	} {
		r.take(look.entries, began.Add(look.after))
		got := make(map[string]rate)
		for _, e := range look.entries {
			got[e.id] = rate{e.rates, e.recvRate, e.sentRate}
		}
		if diff := cmp.Diff(look.want, got); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", look.after, diff)
		}
		if diff := cmp.Diff([][]uint64{look.recv, look.sent}, [][]uint64{r.recv, r.sent}); diff != "" {
			t.Errorf("after %v, all together (-want +got):\n%s", look.after, diff)
		}
		if len(r.of) != len(look.entries) {
			t.Errorf("after %v: %d connections are kept, want %d", look.after, len(r.of), len(look.entries))
		}
	}
}

// Only the latest rates are kept, and those of a look that is on the screen do not change with the next.
func TestRatesAreRecent(t *testing.T) {
	var r rates
	var before []entry
	for n := range uint64(2 * totalLength) {
		entries := []entry{{id: "a", recv: n * n}}
		r.take(entries, time.Unix(int64(n), 0))
		if n == trendLength+2 {
			before = entries
		}
	}
	if len(r.recv) != totalLength || len(r.of["a"].recvHistory) != trendLength {
		t.Errorf("%d and %d rates are kept, want %d and %d", len(r.recv), len(r.of["a"].recvHistory), totalLength, trendLength)
	}
	if diff := cmp.Diff([]uint64{5, 7, 9, 11, 13, 15, 17, 19}, before[0].recvHistory); diff != "" {
		t.Errorf("rates of an earlier look (-want +got):\n%s", diff)
	}
}

func TestSparkline(t *testing.T) {
	for _, tc := range []struct {
		rates []uint64
		width int
		want  string
	}{
		{nil, 4, "    "},
		{[]uint64{0}, 4, "   ▁"},
		{[]uint64{0, 0}, 4, "  ▁▁"},
		{[]uint64{0, 1}, 4, "  ▁█"},
		{[]uint64{1, 1000, 500, 0}, 4, "▂█▅▁"},
		{[]uint64{0, 1, 2, 3, 4, 5, 6}, 7, "▁▃▄▅▆▇█"},
		{[]uint64{1 << 40, 1, 2}, 2, "▅█"}, // what is out of sight counts no more
		{[]uint64{math.MaxUint64, math.MaxUint64 / 2}, 2, "█▅"},
		{[]uint64{1}, 0, ""},
	} {
		if got := sparkline(tc.rates, tc.width); got != tc.want {
			t.Errorf("sparkline(%v, %d) = %q, want %q", tc.rates, tc.width, got, tc.want)
		}
	}
}
