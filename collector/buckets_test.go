//go:build linux

package collector

import "testing"

func TestParseBuckets(t *testing.T) {
	for s, want := range map[string]buckets{
		"262144\n": {n: 262144}, "-262144\n": {n: 262144, shared: true}, "64\n": {n: 64}, "": {}, "many\n": {}, "0\n": {},
	} {
		if got := parseBuckets(s); got != want {
			t.Errorf("%q: %+v, want %+v", s, got, want)
		}
	}
}

func TestCrowded(t *testing.T) {
	for _, test := range []struct {
		buckets buckets
		sockets int
		want    bool
	}{
		{buckets{n: 64}, 32, false},
		{buckets{n: 64}, 33, true},
		{buckets{n: 64, shared: true}, 33, true},
		{buckets{}, 1 << 20, false}, // not known
	} {
		if got := test.buckets.crowded(test.sockets); got != test.want {
			t.Errorf("%d sockets in %+v: %v, want %v", test.sockets, test.buckets, got, test.want)
		}
	}
}
