package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectionsd/connectionsd/collector"
)

// dumps is the metrics of the kernel's dumps, and of the sampler, which makes those that nobody asks for.
type dumps struct {
	now func() time.Time

	took          *prometheus.HistogramVec
	errors        prometheus.Counter
	sockets, last prometheus.Gauge
	samples, cost prometheus.Counter
}

func newDumps(now func() time.Time) *dumps {
	d := &dumps{
		now: now,
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "connectionsd_dump_duration_seconds",
			Help: "How long dumps of the kernel's sockets took that did not fail: of all, or of those alone that somebody asked for.",
			// From what a dump of a small host takes to that of a million sockets.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"selection"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "connectionsd_dump_errors_total",
			Help: "Dumps of the kernel's sockets that failed.",
		}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "connectionsd_dump_sockets",
			Help: "Sockets that the latest dump of all had.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "connectionsd_dump_timestamp_seconds",
			Help: "When the latest dump of all sockets ended, in seconds since 1970; 0 before the first.",
		}),
		samples: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "connectionsd_sampler_dumps_total",
			Help: "Dumps that were made without a request.",
		}),
		cost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "connectionsd_sampler_seconds_total",
			Help: "Processor time of the dumps that were made without a request; of those with a request before or after them, how long they took.",
		}),
	}
	for _, all := range []bool{true, false} {
		d.took.WithLabelValues(selection(all))
	}
	return d
}

func selection(all bool) string {
	if all {
		return "all"
	}
	return "some"
}

func (d *dumps) dumped(of collector.Dump) {
	if of.Err != nil {
		d.errors.Inc()
		return
	}
	d.took.WithLabelValues(selection(of.All)).Observe(of.Took.Seconds())
	if of.All {
		d.sockets.Set(float64(of.Sockets))
		d.last.Set(float64(d.now().UnixMilli()) / 1000)
	}
}

func (d *dumps) sampled(cost time.Duration) {
	d.samples.Inc()
	d.cost.Add(max(cost, 0).Seconds())
}

func (d *dumps) each() []prometheus.Collector {
	return []prometheus.Collector{d.took, d.errors, d.sockets, d.last, d.samples, d.cost}
}

// Describe makes dumps a prometheus.Collector.
func (d *dumps) Describe(descs chan<- *prometheus.Desc) {
	for _, c := range d.each() {
		c.Describe(descs)
	}
}

// Collect makes dumps a prometheus.Collector.
func (d *dumps) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range d.each() {
		c.Collect(metrics)
	}
}
