package metrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
	"github.com/connectionsd/connectionsd/rpc"
)

// host is a Collector of sockets that a test makes up.
type host struct {
	snap     model.Snapshot
	takes    time.Duration // how long a dump is under way
	err      error
	wants    []collector.Want
	released int
}

func (h *host) Follow(want collector.Want, filter *model.Filter) (*collector.Following, error) {
	if filter != nil {
		return nil, errors.New("metrics are of all sockets")
	}
	time.Sleep(h.takes)
	h.wants = append(h.wants, want)
	if h.err != nil {
		return nil, h.err
	}
	return collector.Whole(&h.snap, func() { h.released++ }), nil
}

// process adds an owner and returns its index. container is that of the owner, model.NoContainer for none.
func (h *host) process(name string, container int32) int32 {
	h.snap.Owners = append(h.snap.Owners, model.Owner{PID: int32(len(h.snap.Owners) + 1), Name: name, Container: container})
	return int32(len(h.snap.Owners) - 1)
}

// add adds n sockets.
func (h *host) add(n int, s model.Socket, known model.Known) {
	for range n {
		s.Cookie = uint64(len(h.snap.Sockets) + 1)
		h.snap.Sockets = append(h.snap.Sockets, s)
		h.snap.Known = append(h.snap.Known, known)
	}
}

// listens adds a socket of an owner that listens.
func (h *host) listens(owner int32, port uint16) {
	h.add(1, model.Socket{State: model.Listen, LocalPort: port}, model.Known{Owner: owner, Container: model.NoContainer})
}

// connected adds n connections of an owner that carry payload of the given sizes and rates.
func (h *host) connected(n int, owner int32, in bool, port uint16, received, sent, receiving, sending uint64) {
	h.add(n, model.Socket{State: model.Established, LocalPort: port, BytesReceived: received, BytesSent: sent, InfoLen: 232},
		model.Known{Owner: owner, Container: model.NoContainer, Incoming: in, Download: receiving, Upload: sending})
}

// options are those of a daemon on h.
func (h *host) options() Options {
	return Options{
		Build:     Build{"v1.2.3", "0123abcd", "go1.26.8"},
		Collector: h, Log: zerolog.Nop(), Connections: rpc.NewConnections(rpc.ConnectionLimits{}),
		Degraded:     func() []rpc.Degradation { return nil },
		Restrictions: map[string]bool{"seccomp": true, "landlock": false},
	}
}

// scrape returns the lines of an answer that begin with one of the prefixes.
func scrape(t *testing.T, handler http.Handler, prefixes ...string) []string {
	t.Helper()
	return scrapeFor(t.Context(), t, handler, prefixes...)
}

func scrapeFor(ctx context.Context, t *testing.T, handler http.Handler, prefixes ...string) []string {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	var lines []string
	for line := range strings.Lines(answer.Body.String()) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
				break
			}
		}
	}
	return lines
}
