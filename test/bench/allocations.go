//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// mallocs counts what a daemon allocates, by its profiles: those of /metrics come
// from runtime/metrics, which is told of small objects a span at a time, and so is
// wrong by some thousands.
type mallocs struct {
	of     *daemon
	client *http.Client
}

// serveCounted starts a daemon whose allocations are to be counted. It notes none for
// its profiles: to print what it had noted would be most of what it allocates.
func serveCounted(ctx context.Context, path, socket string, flags ...string) (*daemon, error) {
	return serveWith(ctx, []string{"GODEBUG=memprofilerate=0"}, path, append(flags, "--pprof", "--unix-socket", socket)...)
}

func newMallocs(of *daemon, socket string) *mallocs {
	return &mallocs{of, &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
}

func (m *mallocs) close() { m.client.CloseIdleConnections() }

// each returns how many objects the daemon allocates for a request, once it has made
// some. What it allocates to be asked for the count is left out.
func (m *mallocs) each(ctx context.Context, request []byte) (float64, error) {
	const warm, requests, alone = 3, 40, 5
	if _, err := m.during(ctx, request, warm); err != nil {
		return 0, err
	}
	var counts []float64
	for range alone {
		n, err := m.during(ctx, request, 0)
		if err != nil {
			return 0, err
		}
		counts = append(counts, float64(n))
	}
	n, err := m.during(ctx, request, requests)
	return (float64(n) - measuring.Median(counts)) / requests, err
}

// allocationsTarget holds what one more socket allocates, from few to many,
// against nothing. Of a request without regard to its length, of HTTP, and of
// each process and listener there is as much with few sockets as with many.
func allocationsTarget(request string, few, many float64, sockets int) target {
	perSocket := (many - few) / float64(sockets)
	return target{
		"allocations for each socket: " + request,
		fmt.Sprintf("%.4f (%.0f in a whole request, of which %.0f with few sockets too)", perSocket, many, few),
		"0: less than 0.001", perSocket < 0.001,
	}
}

// during returns how many objects the daemon allocates while it is asked so many
// times.
func (m *mallocs) during(ctx context.Context, request []byte, requests int) (int64, error) {
	before, err := m.soFar(ctx)
	if err != nil {
		return 0, err
	}
	for range requests {
		if err := m.of.skip(request); err != nil {
			return 0, err
		}
	}
	after, err := m.soFar(ctx)
	return after - before, err
}

// soFar returns how many objects the daemon has allocated in its life:
// runtime.MemStats, which its heap profile ends with where a person is to read it.
func (m *mallocs) soFar(ctx context.Context) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/debug/pprof/heap?debug=1", nil)
	if err != nil {
		return 0, err
	}
	answer, err := m.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("ask for the heap profile: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, fmt.Errorf("read the heap profile: %w", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n# Mallocs = "))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read Mallocs in the heap profile: %w", err)
	}
	return n, nil
}
