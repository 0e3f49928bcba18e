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
		want    int
	}{
		{buckets{n: 64, sockets: 32}, 1000, 1},
		{buckets{n: 64, sockets: 33}, 33, 2},
		{buckets{n: 64, sockets: 512}, 512, 2},
		{buckets{n: 64, sockets: 513}, 513, 4},
		{buckets{n: 64, shared: true, sockets: 1}, 33, 2},
		{buckets{n: 64, shared: true, sockets: 1}, 513, 4},
		{buckets{sockets: 1 << 20}, 1 << 20, 1}, // how many buckets is not known
	} {
		if got := test.buckets.dumps(test.all); got != test.want {
			t.Errorf("%+v, of %d: %d, want %d", test.buckets, test.all, got, test.want)
		}
	}
}
