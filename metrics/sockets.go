package metrics

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/rpc"
)

// keepsFor is how long the sockets are not counted again. Where neither token nor login is asked for, metrics are not under
// the rate limit, and each count takes a dump with owners.
const keepsFor = time.Second

// sockets is the metrics of sockets. They are counted when somebody asks, by one at a time.
type sockets struct {
	collector rpc.Collector
	scope     uint16
	log       zerolog.Logger
	turn      chan struct{} // holds one who counts
	latest    atomic.Pointer[count]

	up, took, groups, sockets *prometheus.Desc
	ofGroup                   trafficDescs
	scopeConnections          *prometheus.Desc
	ofScope                   trafficDescs
}

// count is what was found, and when.
type count struct {
	census *census // nil: nothing, because the dump failed
	took   time.Duration
	ended  time.Time
}

// trafficDescs are the metrics of traffic.
type trafficDescs struct{ received, sent, receiving, sending *prometheus.Desc }

func newSockets(c rpc.Collector, scope uint16, log zerolog.Logger) *sockets {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("connectionsd_"+name, help, labels, nil)
	}
	traffic := func(prefix, of string, labels ...string) trafficDescs {
		return trafficDescs{
			received:  desc(prefix+"_received_bytes", "Payload received so far by "+of+".", labels...),
			sent:      desc(prefix+"_sent_bytes", "Payload sent so far by "+of+", each byte once.", labels...),
			receiving: desc(prefix+"_receive_bytes_per_second", "Payload received a second, over the last one or two, by "+of+".", labels...),
			sending:   desc(prefix+"_send_bytes_per_second", "Payload sent a second, over the last one or two, by "+of+".", labels...),
		}
	}
	return &sockets{
		collector: c, scope: scope, log: log, turn: make(chan struct{}, 1),
		up:               desc("sockets_up", "1 if the sockets could be counted for this answer, 0 if not: why is in the log."),
		took:             desc("sockets_duration_seconds", "How long it took to dump the sockets for this answer, to find their owners and containers, and to count them."),
		groups:           desc("sockets_groups", "Pairs of process name and container that sockets are of; those with the fewest sockets are told as one."),
		sockets:          desc("sockets", "Sockets by state, direction, process name and container.", "state", "direction", "process", "container"),
		ofGroup:          traffic("connections", "the connections that are open", "direction", "process", "container"),
		scopeConnections: desc("scope_connections", "Connections of the node that listens on a port.", "scope", "direction"),
		ofScope:          traffic("scope", "the open connections of the node that listens on a port", "scope", "direction"),
	}
}

// count counts the sockets, unless somebody has just done so. The error is the cause of ctx alone.
func (s *sockets) count(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if latest := s.latest.Load(); latest != nil && time.Since(latest.ended) < keepsFor {
		return nil
	}
	began := time.Now()
	counted, err := s.take(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		event := s.log.Error()
		if errors.Is(err, collector.ErrStopped) {
			event = s.log.Debug()
		}
		event.Err(err).Msg("the sockets could not be counted for /metrics")
	}
	ended := time.Now()
	s.latest.Store(&count{census: counted, took: ended.Sub(began), ended: ended})
	return nil
}

// take counts the sockets of a dump. It is nil after an error.
func (s *sockets) take(ctx context.Context) (*census, error) {
	following, err := s.collector.Follow(collector.Want{Owners: true, ListenerOwners: true, Containers: true, Scope: s.scope}, nil)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	defer following.Close()
	snap, err := following.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	return takeCensus(snap, s.scope), nil
}

// Describe makes sockets a prometheus.Collector.
func (s *sockets) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{s.up, s.took, s.groups, s.sockets, s.scopeConnections} {
		descs <- desc
	}
	for _, d := range []trafficDescs{s.ofGroup, s.ofScope} {
		for _, desc := range []*prometheus.Desc{d.received, d.sent, d.receiving, d.sending} {
			descs <- desc
		}
	}
}

// Collect makes sockets a prometheus.Collector: what was counted last.
func (s *sockets) Collect(metrics chan<- prometheus.Metric) {
	latest := s.latest.Load()
	if latest == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(s.took, latest.took.Seconds())
	if latest.census == nil {
		gauge(s.up, 0)
		return
	}
	gauge(s.up, 1)
	gauge(s.groups, float64(latest.census.of))
	tell := func(of trafficDescs, t *traffic, labels ...string) {
		gauge(of.received, float64(t.received), labels...)
		gauge(of.sent, float64(t.sent), labels...)
		gauge(of.receiving, float64(t.receiving), labels...)
		gauge(of.sending, float64(t.sending), labels...)
	}
	for i := range latest.census.groups {
		g := &latest.census.groups[i]
		for state := range g.counts {
			for d, n := range g.counts[state] {
				if n > 0 {
					gauge(s.sockets, float64(n), stateName(state), direction(d).String(), g.process, g.container)
				}
			}
		}
		for d := range g.traffic {
			if g.traffic[d].connections > 0 {
				tell(s.ofGroup, &g.traffic[d], direction(d).String(), g.process, g.container)
			}
		}
	}
	for i := range latest.census.scopes {
		sc := &latest.census.scopes[i]
		for _, d := range []direction{incoming, outgoing} {
			labels := []string{strconv.Itoa(int(sc.port)), d.String()}
			gauge(s.scopeConnections, float64(sc.traffic[d].connections), labels...)
			tell(s.ofScope, &sc.traffic[d], labels...)
		}
	}
}
