package metrics

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
)

func TestDumps(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	m := New(func() time.Time { return now })
	m.Dumped(collector.Dump{All: true, Sockets: 12, Took: 300 * time.Microsecond})
	now = now.Add(500 * time.Millisecond)
	m.Dumped(collector.Dump{All: true, Sockets: 13, Took: 2 * time.Millisecond})
	now = now.Add(time.Hour)
	m.Dumped(collector.Dump{Sockets: 3, Took: 3 * time.Second})
	m.Dumped(collector.Dump{All: true, Took: time.Second, Err: errors.New("netlink: no buffer space")})
	m.Sampled(20 * time.Millisecond)
	m.Sampled(-time.Millisecond) // a clock that went back makes no counter do so
	m.Sampled(5 * time.Millisecond)
	want := []string{
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.0005"} 1`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.001"} 1`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.0025"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.005"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.01"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.025"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.05"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.1"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.25"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="0.5"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="1"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="2.5"} 2`,
		`connectionsd_dump_duration_seconds_bucket{selection="all",le="+Inf"} 2`,
		`connectionsd_dump_duration_seconds_sum{selection="all"} 0.0023`,
		`connectionsd_dump_duration_seconds_count{selection="all"} 2`,
		`connectionsd_dump_errors_total 1`,
		`connectionsd_dump_sockets 13`,
		`connectionsd_dump_timestamp_seconds 1.0000000005e+09`,
		`connectionsd_sampler_dumps_total 3`,
		`connectionsd_sampler_seconds_total 0.025`,
	}
	got := scrape(t, m.Handler(small().options()), `connectionsd_dump_duration_seconds_bucket{selection="all"`,
		`connectionsd_dump_duration_seconds_sum{selection="all"`, `connectionsd_dump_duration_seconds_count{selection="all"`,
		"connectionsd_dump_errors", "connectionsd_dump_sockets", "connectionsd_dump_timestamp", "connectionsd_sampler")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
