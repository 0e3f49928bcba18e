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

func TestCrowded(t *testing.T) {
	for _, test := range []struct {
		buckets buckets
		all     int
		want    bool
	}{
		{buckets{n: 64, sockets: 32}, 1000, false},
		{buckets{n: 64, sockets: 33}, 33, true},
		{buckets{n: 64, shared: true, sockets: 1}, 33, true},
		{buckets{sockets: 1 << 20}, 1 << 20, false}, // how many buckets is not known
	} {
		if got := test.buckets.crowded(test.all); got != test.want {
			t.Errorf("%+v, of %d: %v, want %v", test.buckets, test.all, got, test.want)
		}
	}
}
