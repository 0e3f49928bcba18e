package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/connectionsd/connectionsd/rpc"
)

// newMetrics returns the handler of GET /metrics, and what counts a client that was not let in.
func newMetrics(built build, degraded []rpc.Degradation) (handler http.Handler, refused func(rpc.Refusal)) {
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "connectionsd_build_info",
		Help: "1, labelled with what this program was built from.",
		ConstLabels: prometheus.Labels{
			"version": built.version, "revision": built.commit, "goversion": built.goVersion,
		},
	})
	buildInfo.Set(1)
	lacks := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "connectionsd_degraded",
		Help: "1 for each feature that the daemon does without; /readyz says why.",
	}, []string{"feature"})
	for _, d := range degraded {
		lacks.WithLabelValues(d.Feature).Set(1)
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "connectionsd_refused_requests_total",
		Help: "Requests that were refused because of their token, login, Host or Origin.",
	}, []string{"reason"})
	for _, reason := range []rpc.Refusal{rpc.RefusedToken, rpc.RefusedLogin, rpc.RefusedHost, rpc.RefusedOrigin} {
		refusals.WithLabelValues(string(reason)) // there from the start, so that a rate can be taken of the first
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		buildInfo, lacks, refusals,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}),
		func(reason rpc.Refusal) { refusals.WithLabelValues(string(reason)).Inc() }
}
