package rpc

import (
	"testing"
	"time"
)

func TestDeliveryIsSteady(t *testing.T) {
	at := func(taken uint64) delivery { return delivery{known: true, taken: taken} }
	for _, test := range []struct {
		name       string
		before, at delivery
		elapsed    time.Duration
		want       bool
	}{
		{"a megabyte in a second", at(100), at(100 + steadyRead), time.Second, true},
		{"a byte less", at(100), at(100 + steadyRead - 1), time.Second, false},
		{"a quarter of it in a quarter of a second", at(0), at(steadyRead / 4), time.Second / 4, true},
		{"nothing", at(steadyRead), at(steadyRead), time.Second, false},
		{"nothing was known", delivery{}, at(steadyRead), time.Second, false},
		{"the connection has ended", at(steadyRead), delivery{}, time.Second, false},
		{"less than before", at(steadyRead), at(0), time.Second, false},
	} {
		if got := test.at.isSteady(test.before, test.elapsed); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
