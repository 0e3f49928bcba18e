package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

const (
	busyEnvelope = `{"error":{"code":503,"message":"Service Unavailable"},"id":null,"jsonrpc":"2.0"}`
	busyBare     = `{"error":{"code":503,"message":"Service Unavailable"}}`
	busyRest     = `{"error":"Service Unavailable"}`
)

// withholding serves with opts, and a get_connections on each face that takes as long as the test wants.
func withholding(t *testing.T, opts Options) (h http.Handler, arrived <-chan struct{}, release func()) {
	t.Helper()
	came, let := make(chan struct{}), make(chan struct{})
	wait := func() {
		came <- struct{}{}
		<-let
	}
	opts.Router = NewRouter(zerolog.Nop())
	opts.Router.Handle("get_connections", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		wait()
		return append(dst, '1'), nil
	})
	opts.Bare = opts.Router
	opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wait()
		writeJSON(w, 200, []byte(`1`))
	})
	return NewHandler(opts), came, func() { close(let) }
}

// As many requests as there are places are answered, on all faces together; the next is refused at once and counted. What
// needs no place is served.
func TestRequestsAnsweredAtOnce(t *testing.T) {
	var refused []Refusal
	opts := testOptions(io.Discard)
	opts.OpenAPI = Document("application/yaml", "openapi")
	opts.Refused = func(r Refusal) { refused = append(refused, r) }
	h, arrived, release := withholding(t, opts)
	answers := make(chan int, maxAnswering)
	for i := range maxAnswering {
		go func() {
			switch i % 3 {
			case 0:
				answers <- serve(h, httptest.NewRequest("POST", "/json_rpc", strings.NewReader(one))).Status
			case 1:
				answers <- serve(h, httptest.NewRequest("GET", "/get_connections", nil)).Status
			default:
				answers <- serve(h, httptest.NewRequest("GET", "/api/connections", nil)).Status
			}
		}()
	}
	for range maxAnswering {
		<-arrived
	}
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/json_rpc", one, busyEnvelope},
		{"POST", "/", `[]`, busyEnvelope},
		{"POST", "/get_connections", ``, busyBare},
		{"GET", "/get_connections", ``, busyBare},
		{"GET", "/api/connections", ``, busyRest},
	} {
		got := serve(h, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
		if diff := cmp.Diff(routed(jsonResponse(503, test.want, "Retry-After", "1")), got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		if got := serve(h, httptest.NewRequest("GET", path, nil)); got.Status != 200 {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
	release()
	for range maxAnswering {
		if got := <-answers; got != 200 {
			t.Errorf("status %d", got)
		}
	}
	go func() { <-arrived }()
	if got := serve(h, httptest.NewRequest("GET", "/api/connections", nil)); got.Status != 200 {
		t.Errorf("status %d once there are places again", got.Status)
	}
	if diff := cmp.Diff([]Refusal{RefusedBusy, RefusedBusy, RefusedBusy, RefusedBusy, RefusedBusy}, refused); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

// Clients that do not take their answers keep no place that another needs.
func TestSlowReadersLoseTheirPlaces(t *testing.T) {
	opts := testOptions(io.Discard)
	opts.Connections = answering(100 << 10) // net/http keeps no more than 4 KiB until somebody reads
	bubble(t, ConnectionLimits{}, NewHandler(opts), func(p *pipes, _ *Connections) {
		const call = "GET /api/connections HTTP/1.1\r\nHost: localhost\r\n\r\n"
		var slow []*peer
		for i := range maxAnswering {
			c := p.dial(fmt.Sprintf("192.0.2.1:%d", i+1))
			c.send(call)
			slow = append(slow, c)
			time.Sleep(time.Millisecond)
		}
		prompt := p.dial("192.0.2.2:1").read()
		prompt.send(call)
		if got := prompt.status(); got != "503" {
			t.Errorf("status %q as long as nobody is slow", got)
		}
		time.Sleep(slowReader)
		for i := range 3 {
			prompt.send(call)
			if text, _ := prompt.got(); prompt.status() != "200" || len(text) < (i+1)*100<<10 {
				t.Errorf("status %q once somebody is slow, %d bytes", prompt.status(), len(text))
			}
			// It had its place until then, so that one at a time is cut off: who has kept it waiting longest. The place that prompt
			// gives back is free.
			want := []bool{false, true, true}
			if diff := cmp.Diff(want, open(slow[:3]...)); diff != "" {
				t.Errorf("open connections of the slow (-want +got):\n%s", diff)
			}
		}
		for _, c := range slow {
			c.Close()
		}
	})
}

// A request cannot cut itself off, nor one that does not wait.
func TestPlacesAreTakenFromOthersWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewConnections(ConnectionLimits{})
		a := table.acceptor(newPipes(), zerolog.Nop())
		exchanging := func() (*exchange, context.Context) {
			_, server := net.Pipe()
			w := httptest.NewRecorder()
			e := &exchange{ResponseWriter: w, control: http.NewResponseController(w), connection: table.admit(server, a), isLast: func() bool { return false }}
			e.connection.begin(false)
			return e, context.WithValue(t.Context(), exchangeKey{}, e)
		}
		p := places{most: 2, patient: time.Second}
		waiting, waitingContext := exchanging()
		working, workingContext := exchanging()
		if _, ok := p.take(waitingContext); !ok {
			t.Fatal("there is no first place")
		}
		second, ok := p.take(workingContext)
		if !ok {
			t.Fatal("there is no second place")
		}
		defer waiting.reads()()
		time.Sleep(time.Second - 1)
		if _, ok := p.take(t.Context()); ok {
			t.Error("a place was taken from one who has not waited for long enough")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := p.take(waitingContext); ok {
			t.Error("a place was taken from the one who asked for another")
		}
		third, ok := p.take(t.Context())
		if !ok || !waiting.hasLostItsBody() || working.hasLostItsBody() {
			t.Errorf("place for another: %t; cut off: %t and %t, want the one that waits", ok, waiting.hasLostItsBody(), working.hasLostItsBody())
		}
		second.leave()
		second.leave()
		third.leave()
		if len(p.taken) != 0 {
			t.Errorf("%d places are taken", len(p.taken))
		}
	})
}
