package metrics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/rpc"
)

func TestRequests(t *testing.T) {
	m := New(time.Now)
	for _, a := range []rpc.Answered{
		{Face: "envelope", Method: "get_connections", Status: 200, Took: 2 * time.Millisecond},
		{Face: "envelope", Method: "get_connections", Status: 200, Took: 4 * time.Millisecond},
		{Face: "envelope", Method: "get_connections", Status: 503, Took: time.Millisecond},
		{Face: "envelope", Method: "get_connections", Took: time.Minute},
		{Face: "rest", Method: "unknown", Status: 404, Took: time.Millisecond},
	} {
		m.Answered(a)
	}
	want := []string{
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.001"} 1`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.0025"} 2`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.005"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.01"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.025"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.05"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.1"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.25"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="0.5"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="1"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="2.5"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="10"} 3`,
		`connectionsd_request_duration_seconds_bucket{face="envelope",method="get_connections",le="+Inf"} 4`,
		`connectionsd_request_duration_seconds_sum{face="envelope",method="get_connections"} 60.007`,
		`connectionsd_request_duration_seconds_count{face="envelope",method="get_connections"} 4`,
		`connectionsd_requests_total{code="200",face="envelope",method="get_connections"} 2`,
		`connectionsd_requests_total{code="404",face="rest",method="unknown"} 1`,
		`connectionsd_requests_total{code="503",face="envelope",method="get_connections"} 1`,
		`connectionsd_requests_total{code="broken_off",face="envelope",method="get_connections"} 1`,
	}
	got := scrape(t, m.Handler(small().options()), `connectionsd_request_duration_seconds_bucket{face="envelope"`,
		`connectionsd_request_duration_seconds_sum{face="envelope"`, `connectionsd_request_duration_seconds_count{face="envelope"`, "connectionsd_requests")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again := rpc.Answered{Face: "envelope", Method: "get_connections", Status: 200, Took: time.Millisecond}
	if n := testing.AllocsPerRun(100, func() { m.Answered(again) }); n != 0 {
		t.Errorf("counting a request takes %v allocations, want none", n)
	}
}
