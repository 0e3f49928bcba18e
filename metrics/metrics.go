package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/rpc"
)

// Metrics are those of one daemon. What it counts itself can be told from the beginning; the rest comes with Handler.
type Metrics struct {
	dumps    *dumps
	requests *requests
	refusals *prometheus.CounterVec
}

// New returns the Metrics of a daemon that has just begun. now is the clock of the host.
func New(now func() time.Time) *Metrics {
	m := &Metrics{
		dumps: newDumps(now), requests: newRequests(),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectionsd_refused_requests_total",
			Help: "Requests that were refused because of their token, login, Host or Origin, or because they were too many.",
		}, []string{"reason"}),
	}
	for _, reason := range rpc.Refusals() {
		m.refusals.WithLabelValues(string(reason)) // there from the start, so that a rate can be taken of the first
	}
	return m
}

// Refused counts a request that was refused.
func (m *Metrics) Refused(reason rpc.Refusal) { m.refusals.WithLabelValues(string(reason)).Inc() }

// Answered counts a request that was answered.
func (m *Metrics) Answered(a rpc.Answered) { m.requests.answered(a) }

// Dumped counts a dump.
func (m *Metrics) Dumped(d collector.Dump) { m.dumps.dumped(d) }

// Sampled counts a sample, and what one cost.
func (m *Metrics) Sampled(cost time.Duration) { m.dumps.sampled(cost) }

// Build is what the program was built from.
type Build struct{ Version, Revision, GoVersion string }

// Options are what else is told.
type Options struct {
	Build Build
	// Collector has the sockets; Scope, unless it is 0, is the port of the node whose sockets alone are told of.
	Collector rpc.Collector
	Scope     uint16
	// Degraded are what the daemon does without now.
	Degraded func() []rpc.Degradation
	// Restrictions are those that a daemon can put itself under, and whether it has.
	Restrictions map[string]bool
	// Connections are those of the clients.
	Connections *rpc.Connections
	// Log gets why the sockets could not be counted.
	Log zerolog.Logger
}

// Handler returns the handler of GET /metrics. It is for one call.
func (m *Metrics) Handler(o Options) http.Handler {
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "connectionsd_build_info",
		Help: "1, labelled with what this program was built from.",
		ConstLabels: prometheus.Labels{
			"version": valid(o.Build.Version), "revision": valid(o.Build.Revision), "goversion": valid(o.Build.GoVersion),
		},
	})
	buildInfo.Set(1)
	restrictions := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "connectionsd_sandbox",
		Help: "1 for each restriction that the daemon has put itself under, 0 for each that it has not.",
	}, []string{"restriction"})
	for restriction, holds := range o.Restrictions {
		value := 0.0
		if holds {
			value = 1
		}
		restrictions.WithLabelValues(restriction).Set(value)
	}
	counted := newSockets(o.Collector, o.Scope, o.Log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		buildInfo, restrictions, newLacks(o.Degraded), m.refusals, m.requests, m.dumps, counted,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "connectionsd_rpc_connections",
			Help: "Connections of clients that are open.",
		}, func() float64 { return float64(o.Connections.Open()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "connectionsd_rpc_connections_evicted_total",
			Help: "Connections of slow or idle clients that were closed to make room for others.",
		}, func() float64 { return float64(o.Connections.Evicted()) }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	tell := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	return fresh{counted, tell}
}

// fresh is a handler that has the sockets counted before it tells of them.
type fresh struct {
	counted *sockets
	tell    http.Handler
}

func (f fresh) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f.counted.count(r.Context()); err != nil {
		return // the client has gone
	}
	f.tell.ServeHTTP(w, r)
}
