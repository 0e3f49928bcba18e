package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// api speaks with one engine over its socket, as long as one session lasts. It
// is for one caller at a time.
type api struct {
	client    *client.Client
	transport *transport
	limits    limits
}

// maxHeader is how many bytes the headers of an answer may have. Docker's and Podman's have
// some hundred. Of a line that is none, Go and the client quote the whole in their errors, twenty times as
// much in all.
const maxHeader = 16 << 10

// openAPI makes an api for the engine at a socket. It does not connect yet.
// Nothing is read from the environment.
func openAPI(host, path string, l limits) (*api, error) {
	t := &transport{limit: l.answer, http: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableCompression:     true,
		DisableKeepAlives:      true, // to connect costs nothing here, and nothing is left behind
		MaxResponseHeaderBytes: maxHeader,
	}}
	// The order matters: WithHost knows only the transport that there is before.
	c, err := client.New(client.WithHost(host), client.WithHTTPClient(&http.Client{
		Transport:     t,
		CheckRedirect: client.CheckRedirect,
	}))
	if err != nil {
		return nil, fmt.Errorf("make a client of the engine: %w", err)
	}
	return &api{client: c, transport: t, limits: l}, nil
}

// negotiate asks whether the engine is there, and agrees with it on the version
// of the API.
func (a *api) negotiate(ctx context.Context) error {
	return a.ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
}

// check asks whether the engine still answers.
func (a *api) check(ctx context.Context) error {
	return a.ping(ctx, client.PingOptions{})
}

func (a *api) ping(ctx context.Context, options client.PingOptions) error {
	ctx, cancel := context.WithTimeout(ctx, a.limits.call)
	defer cancel()
	_, err := a.client.Ping(ctx, options)
	return a.transport.reason(err)
}

// list asks for the containers that have processes. An engine that does not
// know all states refuses the list, so that only those are named that all know.
func (a *api) list(ctx context.Context) ([]known, error) {
	ctx, cancel := context.WithTimeout(ctx, a.limits.call)
	defer cancel()
	result, err := a.client.ContainerList(ctx, client.ContainerListOptions{
		Filters: make(client.Filters).Add("status", "running", "paused"),
	})
	if err != nil {
		return nil, a.transport.reason(err)
	}
	return describe(result.Items), nil
}

// changes are the events that change the list, by the words of Docker and those
// of Podman, which compares with its own whatever words it then uses.
func changes() []string {
	return []string{
		string(events.ActionStart), string(events.ActionRename),
		string(events.ActionDie), "died", string(events.ActionStop), string(events.ActionDestroy), string(events.ActionRemove),
		string(events.ActionConnect), string(events.ActionDisconnect),
	}
}

// stream is the engine's events, from the time on at which it was opened.
type stream struct {
	events <-chan events.Message
	failed <-chan error
	answer *answer
	cancel context.CancelFunc
}

// events opens the stream. close must be called.
func (a *api) events(ctx context.Context) (*stream, error) {
	// Docker begins to answer before it begins to listen for events: with a time
	// to begin at, it tells those of the moment between as well.
	since := strconv.FormatInt(time.Now().Unix(), 10)
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(a.limits.call, cancel)
	result := a.client.Events(ctx, client.EventsListOptions{
		Since: since,
		Filters: make(client.Filters).
			Add("type", string(events.ContainerEventType), string(events.NetworkEventType)).
			Add("event", changes()...),
	})
	inTime := late.Stop()
	s := &stream{events: result.Messages, failed: result.Err, answer: a.transport.last.Load(), cancel: cancel}
	switch {
	case !inTime:
		s.close()
		return nil, context.DeadlineExceeded
	case s.answer == nil: // refused, or not even asked, or a status other than 200 that the client takes for that
		cancel() // the client would offer events of such an answer, which nobody takes
		err := <-s.failed
		s.close()
		return nil, a.transport.reason(err)
	default:
		return s, nil
	}
}

// heard must be called after each event: the next may be as long as an answer.
func (s *stream) heard() { s.answer.left.Store(s.answer.limit) }

// close ends the stream and waits until it has ended.
func (s *stream) close() {
	s.cancel()
	for range s.failed { // closed by what reads the stream
	}
}

var errTooLong = errors.New("its answer is too long")

// statusError is an answer that is none.
type statusError struct{ code int }

func (e *statusError) Error() string {
	return fmt.Sprintf("it answers %d %s", e.code, http.StatusText(e.code))
}

// transport bounds answers, and keeps why a request failed: of that the client
// makes a text.
type transport struct {
	http  *http.Transport
	limit int64                  // of an answer
	last  atomic.Pointer[answer] // of the last request, nil if it failed
	err   atomic.Pointer[error]  // of the last request, nil if it did not fail
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.last.Store(nil)
	t.err.Store(nil)
	response, err := t.http.RoundTrip(r)
	if err != nil {
		t.err.Store(&err)
		return nil, err
	}
	body := &answer{ReadCloser: response.Body, limit: t.limit}
	body.left.Store(t.limit)
	response.Body = body
	if response.StatusCode == http.StatusOK {
		t.last.Store(body)
	} else {
		var err error = &statusError{response.StatusCode}
		t.err.Store(&err)
	}
	return response, nil
}

// reason returns why a call failed of which the client says err.
func (t *transport) reason(err error) error {
	cause := t.err.Load()
	switch {
	case err == nil || cause == nil:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, io.EOF): // by events, which have enough of it, or which there are none of
		return *cause
	case errors.As(*cause, new(*statusError)):
		return fmt.Errorf("%w: %w", *cause, err) // the client has read what the engine says of it
	default:
		return *cause
	}
}

// answer is a body that fails once it is too long.
type answer struct {
	io.ReadCloser
	limit int64
	left  atomic.Int64
}

func (a *answer) Read(p []byte) (int, error) {
	left := a.left.Load()
	if left <= 0 {
		return 0, errTooLong
	}
	n, err := a.ReadCloser.Read(p[:min(int64(len(p)), left)])
	a.left.Add(-int64(n))
	return n, err
}
