package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectionsd/connectionsd/rpc"
)

// requests is the metrics of requests.
type requests struct {
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newRequests() *requests {
	return &requests{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectionsd_requests_total",
			Help: "Requests that were answered, by the face, the method or path and the status of the answer.",
		}, []string{"face", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "connectionsd_request_duration_seconds",
			Help:    "How long requests took from their headers to the last byte of the answer, or until they were broken off.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"face", "method"}),
	}
}

func (r *requests) answered(a rpc.Answered) {
	r.count.WithLabelValues(a.Face, a.Method, code(a.Status)).Inc()
	r.took.WithLabelValues(a.Face, a.Method).Observe(a.Took.Seconds())
}

// code is the status of an answer as a label.
func code(status int) string {
	switch status {
	case 0:
		return "broken_off"
	case http.StatusOK:
		return "200" // without any memory
	}
	return strconv.Itoa(status)
}

// Describe makes requests a prometheus.Collector.
func (r *requests) Describe(descs chan<- *prometheus.Desc) {
	r.count.Describe(descs)
	r.took.Describe(descs)
}

// Collect makes requests a prometheus.Collector.
func (r *requests) Collect(metrics chan<- prometheus.Metric) {
	r.count.Collect(metrics)
	r.took.Collect(metrics)
}
