package metrics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/rpc"
)

// A feature is told once, and each reason for which it is lacking; what was said twice fails no scrape.
func TestDegraded(t *testing.T) {
	o := small().options()
	o.Degraded = func() []rpc.Degradation {
		return []rpc.Degradation{
			{Feature: "owners", Reason: "missing CAP_SYS_PTRACE"},
			{Feature: "containers", Reason: "unix:///run/docker.sock: \xffconnection refused"},
			{Feature: "containers", Reason: "unix:///run/podman/podman.sock: timeout"},
			{Feature: "containers", Reason: "unix:///run/podman/podman.sock: timeout"},
			{Feature: "bpf"},
		}
	}
	want := []string{
		`connectionsd_degraded{feature="bpf"} 1`,
		`connectionsd_degraded{feature="containers"} 1`,
		`connectionsd_degraded{feature="owners"} 1`,
		`connectionsd_degraded_reason_info{feature="containers",reason="unix:///run/docker.sock: ` + "\ufffd" + `connection refused"} 1`,
		`connectionsd_degraded_reason_info{feature="containers",reason="unix:///run/podman/podman.sock: timeout"} 1`,
		`connectionsd_degraded_reason_info{feature="owners",reason="missing CAP_SYS_PTRACE"} 1`,
	}
	if diff := cmp.Diff(want, scrape(t, New(time.Now).Handler(o), "connectionsd_degraded")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefusalsAreThereFromTheStart(t *testing.T) {
	m := New(time.Now)
	m.Refused(rpc.RefusedRate)
	m.Refused(rpc.RefusedRate)
	want := []string{
		`connectionsd_refused_requests_total{reason="busy"} 0`,
		`connectionsd_refused_requests_total{reason="connections"} 0`,
		`connectionsd_refused_requests_total{reason="host"} 0`,
		`connectionsd_refused_requests_total{reason="login"} 0`,
		`connectionsd_refused_requests_total{reason="origin"} 0`,
		`connectionsd_refused_requests_total{reason="rate"} 2`,
		`connectionsd_refused_requests_total{reason="token"} 0`,
	}
	if diff := cmp.Diff(want, scrape(t, m.Handler(small().options()), "connectionsd_refused")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
