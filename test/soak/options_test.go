//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const all = "all, malformed, slow, overload, soak, sigterm, restart"
	for _, tc := range []struct {
		name string
		args []string
		want []string // names of the trials
		err  string
	}{
		{"two, in the order given", []string{"restart", "slow"}, []string{"restart", "slow"}, ""},
		{"all", []string{"-short", "all"}, []string{"malformed", "slow", "overload", "soak", "sigterm", "restart"}, ""},
		{"none", nil, nil, "say what to measure, of: " + all},
		{"unknown", []string{"fire"}, nil, `"fire" cannot be measured, want one of: ` + all},
		{"too many", []string{"-slow", "20001", "slow"}, []string{"slow"}, "-slow is 20001, want 1 to 20000"},
		{"too few", []string{"-sigterm", "0", "slow"}, []string{"slow"}, "-sigterm is 0, want 1 to 10000"},
		{"too short", []string{"-soak-for", "1s", "soak"}, []string{"soak"}, "-soak-for is 1s, want 5s to 24h"},
		{"less than it can", []string{"-overload-times", "0.5", "overload"}, []string{"overload"}, "-overload-times is 0.5, want 1 to 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, chosen, err := parse(tc.args)
			var names []string
			for _, c := range chosen {
				names = append(names, c.name)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("trials (-want +got):\n%s", diff)
			}
			if got := errorText(err); got != tc.err {
				t.Errorf("error %q, want %q", got, tc.err)
			}
		})
	}
}

// What a flag says is not made less by -short, and without that all is as it is specified.
func TestShort(t *testing.T) {
	long, _, err := parse([]string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		timeout: time.Hour, malformed: 14_000, slow: 10_000, slowFor: 20 * time.Second, slowAgain: 10 * time.Second,
		overload: time.Minute, overloadPairs: 3000, times: 20, soak: 30 * time.Minute, connections: 1_000_000, sigterms: 100, restarts: 20,
	}
	if diff := cmp.Diff(want, long, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("as specified (-want +got):\n%s", diff)
	}
	set := []string{
		"-daemon", "d", "-timeout", "2m", "-malformed", "1", "-slow", "2", "-slow-for", "3s", "-slow-again", "4s", "-overload-for", "5s", "-overload-pairs", "6",
		"-overload-times", "7", "-soak-for", "8s", "-soak-connections", "9", "-sigterm", "10", "-restart", "11", "all",
	}
	exact, _, err := parse(set)
	if err != nil {
		t.Fatal(err)
	}
	short, _, err := parse(append([]string{"-short"}, set...))
	if err != nil {
		t.Fatal(err)
	}
	exact.short = true
	if diff := cmp.Diff(exact, short, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("with -short (-without +with):\n%s", diff)
	}
	less, _, err := parse([]string{"-short", "all"})
	if err != nil {
		t.Fatal(err)
	}
	if less.malformed >= long.malformed || less.slow >= long.slow || less.overload >= long.overload || less.soak >= long.soak || less.sigterms >= long.sigterms || less.restarts >= long.restarts {
		t.Errorf("-short is not less: %+v", less)
	}
}
