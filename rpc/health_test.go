package rpc

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	if diff := cmp.Diff(answered(200, `{"status":"ok"}`), ask(Health(), "/healthz")); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

func TestReady(t *testing.T) {
	owners := Degradation{Feature: "owners", Reason: `without "CAP_SYS_PTRACE"`}
	containers := Degradation{Feature: "containers", Reason: "no daemon answers"}
	const (
		both   = `[{"feature":"owners","reason":"without \"CAP_SYS_PTRACE\""},{"feature":"containers","reason":"no daemon answers"}]`
		notAll = `,"error":"Failed to get connections"}`
	)
	for _, test := range []struct {
		name     string
		lastDump error
		degraded []Degradation
		want     response
	}{
		{"whole", nil, nil, answered(200, `{"status":"ready","degraded":[]}`)},
		{"degraded", nil, []Degradation{owners, containers}, answered(200, `{"status":"ready","degraded":`+both+`}`)},
		{"not ready", errors.New("netlink: secret"), nil, answered(503, `{"status":"not ready","degraded":[]`+notAll)},
		{
			"not ready and degraded", errors.New("netlink: secret"),
			[]Degradation{owners, containers},
			answered(503, `{"status":"not ready","degraded":`+both+notAll),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := Ready(func() error { return test.lastDump }, func() []Degradation { return test.degraded })
			if diff := cmp.Diff(test.want, ask(h, "/readyz")); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

// A probe tells what is, not what was at the start.
func TestReadyFollowsTheLastDump(t *testing.T) {
	var lastDump error
	h := Ready(func() error { return lastDump }, func() []Degradation { return nil })
	for _, test := range []struct {
		lastDump error
		status   int
	}{{errors.New("no dump has been made yet"), 503}, {nil, 200}, {errors.New("netlink: no buffer space"), 503}, {nil, 200}} {
		lastDump = test.lastDump
		if got := ask(h, "/readyz").Status; got != test.status {
			t.Errorf("after %v: status %d, want %d", test.lastDump, got, test.status)
		}
	}
}
