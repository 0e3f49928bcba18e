//go:build linux

package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/test/measuring"
)

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i // 100 to 1
	}
	for _, tc := range []struct {
		name   string
		values []int
		p      int
		want   int
	}{
		{"of one", []int{7}, 99, 7},
		{"the upper of two", []int{2, 1}, 50, 2},
		{"the middle of three", []int{9, 1, 5}, 50, 5},
		{"one in a hundred is above", hundred, 99, 100},
		{"half are above", hundred, 50, 51},
		{"none is above", []int{1, 2, 3}, 100, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := measuring.Percentile(tc.values, tc.p); got != tc.want {
				t.Errorf("percentile %d is %d, want %d", tc.p, got, tc.want)
			}
		})
	}
}

func TestMeasureByTurns(t *testing.T) {
	var calls []string
	does := func(what string) func() error {
		return func() error { calls = append(calls, what); return nil }
	}
	slow := 20 * time.Millisecond
	rows, err := measure(2, []task{
		{name: "a", prepare: func() error { time.Sleep(slow); return does("before a")() }, run: does("a")},
		{name: "b", run: does("b"), note: "of b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"before a", "a", "b", "before a", "a", "b"}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if rows[0].name != "a" || rows[0].ratio != 1 || rows[1].name != "b" || rows[1].note != "of b" {
		t.Errorf("rows %+v, want a with ratio 1, and b", rows)
	}
	if rows[0].took >= slow {
		t.Errorf("a took %s: what prepares it was counted", rows[0].took)
	}
}

func TestMeasureError(t *testing.T) {
	cause := errors.New("no")
	_, err := measure(1, []task{{name: "a", run: func() error { return cause }}})
	if !errors.Is(err, cause) || err.Error() != "a: no" {
		t.Errorf("error %v, want a: no", err)
	}
}
