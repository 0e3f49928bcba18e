package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/connectionsd/connectionsd/rpc"
)

// metricsHandler returns the handler of GET /metrics.
func metricsHandler(built build, degraded []rpc.Degradation) http.Handler {
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
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		buildInfo, lacks,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}
