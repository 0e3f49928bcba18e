package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/connectionsd/connectionsd/rpc"
)

// newMetrics returns the handler of GET /metrics, and what counts a client that was not let in.
func newMetrics(built build, degraded func() []rpc.Degradation, sandbox sandbox, open *rpc.Connections) (handler http.Handler, refused func(rpc.Refusal)) {
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "connectionsd_build_info",
		Help: "1, labelled with what this program was built from.",
		ConstLabels: prometheus.Labels{
			"version": built.version, "revision": built.commit, "goversion": built.goVersion,
		},
	})
	buildInfo.Set(1)
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "connectionsd_refused_requests_total",
		Help: "Requests that were refused because of their token, login, Host or Origin, or because they were too many.",
	}, []string{"reason"})
	for _, reason := range rpc.Refusals() {
		refusals.WithLabelValues(string(reason)) // there from the start, so that a rate can be taken of the first
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		buildInfo, newLacks(degraded), refusals, sandbox.metric(),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "connectionsd_rpc_connections",
			Help: "Connections of clients that are open.",
		}, func() float64 { return float64(open.Open()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "connectionsd_rpc_connections_evicted_total",
			Help: "Connections of slow or idle clients that were closed to make room for others.",
		}, func() float64 { return float64(open.Evicted()) }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}),
		func(reason rpc.Refusal) { refusals.WithLabelValues(string(reason)).Inc() }
}

// lacks is the metric of what the daemon does without now.
type lacks struct {
	desc     *prometheus.Desc
	degraded func() []rpc.Degradation
}

func newLacks(degraded func() []rpc.Degradation) lacks {
	return lacks{prometheus.NewDesc("connectionsd_degraded",
		"1 for each feature that the daemon does without; /readyz says why.", []string{"feature"}, nil), degraded}
}

// Describe makes lacks a prometheus.Collector.
func (l lacks) Describe(descs chan<- *prometheus.Desc) { descs <- l.desc }

// Collect makes lacks a prometheus.Collector.
func (l lacks) Collect(metrics chan<- prometheus.Metric) {
	seen := make(map[string]bool)
	for _, d := range l.degraded() {
		if !seen[d.Feature] { // a feature can be lacking for several reasons
			seen[d.Feature] = true
			metrics <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, 1, d.Feature)
		}
	}
}
