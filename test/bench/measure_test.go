//go:build linux

package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
