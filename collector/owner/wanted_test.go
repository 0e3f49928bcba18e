package owner

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

// A Wanted has what was added to it, however many that is and whatever their numbers.
func TestWanted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := map[string]func(i int) uint32{
		"one after the other":            func(i int) uint32 { return uint32(1 + i) },
		"apart by a power of two":        func(i int) uint32 { return uint32(1+i) << 18 },
		"two ranges, one above another":  func(i int) uint32 { return uint32(1 + i/2 + i%2<<20) },
		"anywhere":                       func(int) uint32 { return random.Uint32() | 1 },
		"the largest":                    func(i int) uint32 { return math.MaxUint32 - uint32(i) },
		"the same twice, one after each": func(i int) uint32 { return uint32(1 + i/2) },
	}
	for name, number := range numbers {
		for _, reset := range []int{0, 5000} { // grown, and made for them at once
			var w Wanted
			w.Reset(reset)
			want := make(map[uint32]int32)
			for i := range 5000 {
				inode := number(i)
				w.Add(inode, i%100 == 0)
				want[inode] = model.NoOwner
			}
			if w.Len() != len(want) || len(slices.Collect(w.unfound)) != len(want) {
				t.Errorf("%s: %d wanted, %d not found, want %d", name, w.Len(), len(slices.Collect(w.unfound)), len(want))
			}
			for inode := range want {
				want[inode] = int32(inode % 77)
				w.find(inode).owner = want[inode]
			}
			if diff := cmp.Diff(want, w.found(maps.Keys(want))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			for range 5000 {
				other := random.Uint32()
				if _, wanted := want[other]; w.has(other) != wanted || !wanted && w.Owner(other) != model.NoOwner {
					t.Errorf("%s: %d is wanted, and was not added", name, other)
				}
			}
			if first := number(0); name != "anywhere" && (!w.hasEvery(first) || w.hasEvery(number(50))) {
				t.Errorf("%s: every owner of %d: %v, of another %v, want true, false", name, first, w.hasEvery(first), w.hasEvery(number(50)))
			}
			w.unfind()
			if n := len(slices.Collect(w.unfound)); n != len(want) {
				t.Errorf("%s: %d not found after unfind, want %d", name, n, len(want))
			}
		}
	}
}

func TestWantedReset(t *testing.T) {
	var w Wanted
	if w.has(1) || w.Owner(1) != model.NoOwner {
		t.Error("the zero Wanted has a socket")
	}
	w.Add(0, true)
	if w.Len() != 0 || w.has(0) || w.hasEvery(0) {
		t.Error("a socket without a file is wanted")
	}
	for i := range uint32(100_000) {
		w.Add(1+i, true)
	}
	w.Reset(100_000)
	if w.Len() != 0 || w.has(1) || w.hasEvery(1) {
		t.Error("a socket is left after Reset")
	}
	if n := len(w.slots); n != 1<<18 {
		t.Errorf("%d slots for 100,000 sockets, want %d", n, 1<<18)
	}
	w.Reset(10)
	if n := len(w.slots); n != minSlots {
		t.Errorf("%d slots for 10 sockets, want %d", n, minSlots)
	}
}

// BenchmarkWanted wants the owners of sockets and looks each up twice, as one look at the processes does, in the order that
// the kernel made them.
func BenchmarkWanted(b *testing.B) {
	const sockets = 100_000
	first := uint32(123_456)
	b.Run("flat", func(b *testing.B) {
		var w Wanted
		for b.Loop() {
			w.Reset(sockets)
			for i := range uint32(sockets) {
				w.Add(first+i, false)
			}
			for i := range uint32(sockets) {
				w.find(first + i).owner = 7
			}
			for i := range uint32(sockets) {
				if w.Owner(first+i) != 7 {
					b.Fatal("not found")
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sockets, "ns/socket")
	})
	b.Run("map", func(b *testing.B) {
		w := make(map[uint32]int32)
		for b.Loop() {
			clear(w)
			for i := range uint32(sockets) {
				w[first+i] = model.NoOwner
			}
			for i := range uint32(sockets) {
				w[first+i] = 7
			}
			for i := range uint32(sockets) {
				if w[first+i] != 7 {
					b.Fatal("not found")
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sockets, "ns/socket")
	})
}

// BenchmarkWantedFew looks a hundred thousand sockets up of which forty are wanted.
func BenchmarkWantedFew(b *testing.B) {
	const sockets, ofEach = 100_000, 20
	first := uint32(123_456)
	var w Wanted
	w.Reset(2 * ofEach)
	for i := range uint32(ofEach) { // connections of one time, and listeners of many
		w.Add(first+sockets/2+i, false)
		w.Add(first+i*i*i, true)
	}
	for b.Loop() {
		found := 0
		for i := range uint32(sockets) {
			if w.mayHave(first+i) && w.has(first+i) {
				found++
			}
		}
		if found != 2*ofEach {
			b.Fatalf("%d found, want %d", found, 2*ofEach)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sockets, "ns/socket")
}

// BenchmarkWantedRandom is the same where the numbers follow no order.
func BenchmarkWantedRandom(b *testing.B) {
	for _, sockets := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(sockets), func(b *testing.B) {
			inodes := make([]uint32, sockets)
			for i := range inodes {
				inodes[i] = rand.Uint32() | 1
			}
			var w Wanted
			for b.Loop() {
				w.Reset(sockets)
				for _, inode := range inodes {
					w.Add(inode, false)
				}
				for _, inode := range inodes {
					w.find(inode).owner = 7
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sockets), "ns/socket")
		})
	}
}
