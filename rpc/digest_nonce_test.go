package rpc

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestCountsOfANonce(t *testing.T) {
	type spend struct {
		nc   uint32
		want bool
	}
	for _, test := range []struct {
		name   string
		spends []spend
	}{
		{"in order", []spend{{1, true}, {2, true}, {3, true}, {3, false}, {2, false}, {1, false}, {4, true}}},
		{"out of order", []spend{{3, true}, {1, true}, {2, true}, {3, false}, {1, false}, {2, false}}},
		{"from above 1", []spend{{7, true}, {7, false}, {6, true}, {8, true}}},
		{"the end of the span", []spend{{300, true}, {45, true}, {45, false}, {44, false}}},
		{"the span moves", []spend{{256, true}, {1, true}, {257, true}, {1, false}, {2, true}, {2, false}}},
		{"counts of the same bit", []spend{{5, true}, {5 + 256, true}, {5, false}, {5 + 512, true}, {5 + 256, false}}},
		{"a leap of one less than the span", []spend{{5, true}, {260, true}, {5, false}, {6, true}, {259, true}, {261, true}}},
		{"a leap over the span", []spend{{5, true}, {6, true}, {1000, true}, {6, false}, {999, true}, {745, true}, {744, false}}},
		{"a leap over the span to the same bits", []spend{{1, true}, {2, true}, {512, true}, {257, true}, {258, true}, {256, false}}},
		{"the highest", []spend{{1<<32 - 1, true}, {1<<32 - 1, false}, {1<<32 - 2, true}, {1<<32 - 256, true}, {1<<32 - 257, false}, {1, false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w countWindow
			for i, s := range test.spends {
				if got := w.spend(s.nc); got != s.want {
					t.Errorf("step %d: %d is good: %t, want %t", i+1, s.nc, got, s.want)
				}
			}
		})
	}
}

// Whatever the order, no count is good twice, and each is good once that comes no later than the span allows.
func TestCountsAgainstASet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var w countWindow
		spent := make(map[uint32]bool)
		var highest uint32
		for range 2000 {
			nc := uint32(int64(highest) + 1 + random.Int64N(2*countSpan) - countSpan - random.Int64N(100))
			if int32(nc) < 1 {
				nc = 1
			}
			want := !spent[nc] && int64(nc) > int64(highest)-countSpan
			if got := w.spend(nc); got != want {
				t.Fatalf("%d after %d is good: %t, want %t", nc, highest, got, want)
			}
			spent[nc] = true
			highest = max(highest, nc)
		}
	}
}

func TestIssuedNoncesAreUnlike(t *testing.T) {
	now := time.Unix(1700000000, 0)
	n := newNonces(func() time.Time { return now })
	seen := make(map[string]bool)
	for range 1000 {
		nonce := n.issue()
		if len(nonce) != 44 || seen[nonce] {
			t.Fatalf("nonce %q: want 44 characters, never the same", nonce)
		}
		seen[nonce] = true
	}
	if n.used.Len() != 0 {
		t.Errorf("%d are remembered although none is used", n.used.Len())
	}
}

func TestEvictedNonces(t *testing.T) {
	now := time.Unix(1700000000, 0)
	n := newNonces(func() time.Time { return now })
	issue := func() string {
		now = now.Add(time.Microsecond)
		return n.issue()
	}
	old := issue() // will be used last
	busy, idle, same := issue(), issue(), n.issue()
	young := issue()
	for _, nonce := range []string{busy, idle} {
		if !n.use(nonce, 1) {
			t.Fatal("an issued nonce is refused")
		}
	}
	for i := range maxNonces - 2 {
		if !n.use(issue(), 1) {
			t.Fatalf("nonce %d is refused", i)
		}
	}
	if !n.use(busy, 2) { // which makes idle the one that was not used for the longest time
		t.Error("a nonce is forgotten below the bound")
	}
	if !n.use(young, 1) {
		t.Error("a new nonce is refused")
	}
	if got := n.used.Len(); got != maxNonces {
		t.Errorf("%d nonces are remembered, want %d", got, maxNonces)
	}
	for _, nc := range []uint32{1, 2, 1000} {
		if n.use(idle, nc) {
			t.Errorf("a nonce that is forgotten is good for count %d", nc)
		}
	}
	if n.use(old, 1) || n.use(same, 1) {
		t.Error("a nonce that was issued no later than a forgotten one passes for unused")
	}
	if !n.use(busy, 3) || n.use(busy, 3) {
		t.Error("a nonce that is remembered is not what it was, although an earlier one is forgotten")
	}
	if !n.use(issue(), 1) {
		t.Error("a new nonce is refused")
	}
}

// Nonces are not evicted in the order of their issue.
func TestYoungNonceEvictedBeforeAnOldOne(t *testing.T) {
	now := time.Unix(1700000000, 0)
	n := newNonces(func() time.Time { return now })
	issue := func() string {
		now = now.Add(time.Microsecond)
		return n.issue()
	}
	old, unused, young := issue(), issue(), issue()
	for _, nonce := range []string{young, old} {
		if !n.use(nonce, 1) {
			t.Fatal("an issued nonce is refused")
		}
	}
	for i := range maxNonces { // which evicts first young, then old
		if !n.use(issue(), 1) {
			t.Fatalf("nonce %d is refused", i)
		}
	}
	for name, nonce := range map[string]string{"old": old, "unused": unused, "young": young} {
		if n.use(nonce, 2) {
			t.Errorf("the %s nonce is good", name)
		}
	}
}
