//go:build linux

package collector

import "testing"

func TestParseBuckets(t *testing.T) {
	for s, want := range map[string]buckets{
		"262144\n": {n: 262144}, "-262144\n": {n: 262144, shared: true}, "64\n": {n: 64}, "": {}, "many\n": {}, "0\n": {},
	} {
		if n, shared := parseBuckets(s); n != want.n || shared != want.shared {
			t.Errorf("%q: %d, %v, want %d, %v", s, n, shared, want.n, want.shared)
		}
	}
}

func TestDumps(t *testing.T) {
	for _, test := range []struct {
		buckets buckets
		all     int
		pieces  bool
		want    int
	}{
		{buckets{n: 64, sockets: 32}, 1000, false, 1},
		{buckets{n: 64, sockets: 33}, 33, false, 2},
		{buckets{n: 64, sockets: 512}, 512, false, 2},
		{buckets{n: 64, sockets: 513}, 513, false, 4},
		{buckets{n: 64, shared: true, sockets: 1}, 33, false, 2},
		{buckets{n: 64, shared: true, sockets: 1}, 513, false, 4},
		{buckets{n: 1 << 18, sockets: 1000}, 1000, false, 1},
		{buckets{n: 1 << 18, sockets: 1000}, 1000, true, 2},
		{buckets{n: 1 << 18, sockets: 8193}, 8193, true, 1},
		{buckets{n: 64, sockets: 513}, 513, true, 4},
		{buckets{sockets: 1 << 20}, 1 << 20, false, 1}, // how many buckets is not known
		{buckets{sockets: 100}, 100, true, 2},
	} {
		if got := test.buckets.dumps(test.all, test.pieces); got != test.want {
			t.Errorf("%+v, of %d, in pieces %v: %d, want %d", test.buckets, test.all, test.pieces, got, test.want)
		}
	}
}
