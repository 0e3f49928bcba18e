//go:build linux

package collector

import (
	"math/big"
	"strings"
	"testing"
)

// Whatever stands in the file, no number of buckets is below zero or other than its own, and so none makes a namespace
// crowded by mistake.
func FuzzParseBuckets(f *testing.F) {
	for _, s := range []string{
		"262144\n", "-262144\n", "0\n", "-0", "+7", "", "many", "1_000", "0x10", " 8 ", "9223372036854775807", "-9223372036854775808", "99999999999999999999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, shared := parseBuckets(s)
		if n < 0 || shared && n == 0 {
			t.Fatalf("%q: %d buckets, shared %t", s, n, shared)
		}
		if n == 0 {
			return
		}
		want, ok := new(big.Int).SetString(strings.TrimSpace(s), 10)
		if !ok || want.CmpAbs(big.NewInt(int64(n))) != 0 || shared != (want.Sign() < 0) {
			t.Fatalf("%q: %d buckets, shared %t", s, n, shared)
		}
	})
}
