package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectionsd/connectionsd/rpc"
)

// lacks is the metrics of what the daemon does without now.
type lacks struct {
	feature, reason *prometheus.Desc
	degraded        func() []rpc.Degradation
}

func newLacks(degraded func() []rpc.Degradation) lacks {
	return lacks{
		prometheus.NewDesc("connectionsd_degraded",
			"1 for each feature that the daemon does without.", []string{"feature"}, nil),
		prometheus.NewDesc("connectionsd_degraded_reason_info",
			"1 for each reason for which the daemon does without a feature, as /readyz says it.", []string{"feature", "reason"}, nil),
		degraded,
	}
}

// Describe makes lacks a prometheus.Collector.
func (l lacks) Describe(descs chan<- *prometheus.Desc) {
	descs <- l.feature
	descs <- l.reason
}

// Collect makes lacks a prometheus.Collector.
func (l lacks) Collect(metrics chan<- prometheus.Metric) {
	seen := make(map[rpc.Degradation]bool)
	once := func(d rpc.Degradation) bool { // a feature can be lacking for several reasons
		before := seen[d]
		seen[d] = true
		return !before
	}
	for _, d := range l.degraded() {
		d = rpc.Degradation{Feature: valid(d.Feature), Reason: valid(d.Reason)}
		if once(rpc.Degradation{Feature: d.Feature}) {
			metrics <- prometheus.MustNewConstMetric(l.feature, prometheus.GaugeValue, 1, d.Feature)
		}
		if d.Reason != "" && once(d) {
			metrics <- prometheus.MustNewConstMetric(l.reason, prometheus.GaugeValue, 1, d.Feature, d.Reason)
		}
	}
}
