//go:build linux

package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/test/measuring"
)

func TestReport(t *testing.T) {
	s := &section{
		tables:  []*measuring.Table{{Title: "before", Header: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}},
		figures: []figure{told("told", "%d", 1), wants("kept", "1 ms", "2 ms", true), wants("missed", "3 ms", "2 ms", false)},
	}
	var out bytes.Buffer
	if err := s.print(&out, "trial"); err != nil {
		t.Fatal(err)
	}
	const want = `before
a  b
1  2

trial
figure  measured  target  verdict
told    1                 
kept    1 ms      2 ms    met
missed  3 ms      2 ms    NOT MET

`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConclude(t *testing.T) {
	for _, tc := range []struct {
		name string
		all  []figure
		out  string
		err  string
	}{
		{"all met", []figure{told("a", ""), wants("b", "", "x", true)}, "1 of 1 targets met\n", ""},
		{"none to meet", []figure{told("a", "")}, "0 of 0 targets met\n", ""},
		{"missed", []figure{wants("a", "", "x", true), wants("b", "", "x", false), wants("c", "", "x", false)}, "1 of 3 targets met\n", "not met: b; c"},
	} {
		var out bytes.Buffer
		err := conclude(&out, tc.all)
		if out.String() != tc.out || errorText(err) != tc.err {
			t.Errorf("%s: %q, error %q, want %q, %q", tc.name, out.String(), errorText(err), tc.out, tc.err)
		}
	}
}

// In a short run a time is told, and what it would be held against with it.
func TestTimed(t *testing.T) {
	for _, tc := range []struct {
		short bool
		want  figure
	}{
		{false, figure{"a", "3 ms", "2 ms", false}},
		{true, figure{"a", "3 ms (2 ms)", "", false}},
	} {
		o := options{short: tc.short}
		if got := o.timed("a", "3 ms", "2 ms", false); got != tc.want {
			t.Errorf("short %v: %+v, want %+v", tc.short, got, tc.want)
		}
	}
}
