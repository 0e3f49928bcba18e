//go:build linux

package daemon_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traceReceiver takes traces by OTLP over HTTP.
type traceReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []string // parent/name
}

func newTraceReceiver(t *testing.T) *traceReceiver {
	t.Helper()
	r := new(traceReceiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var traces tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &traces)
		}
		if err != nil || request.Method+request.URL.Path != "POST/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" ||
			request.Header.Get("X-Tenant") != "a b" {
			t.Errorf("%s %s %v: %v", request.Method, request.URL, request.Header, err)
		}
		r.take(&traces)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *traceReceiver) take(traces *tracepb.TracesData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range traces.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		names := make(map[string]string)
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				names[string(span.GetSpanId())] = span.GetName()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				r.spans = append(r.spans, service+"/"+names[string(span.GetParentSpanId())]+"/"+span.GetName())
			}
		}
	}
}

// serveTraced is serve with variables.
func serveTraced(t *testing.T, environ []string, args ...string) *daemon {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--rpc-bind-port", "0", "--log-format", "json"}, args...)...)
	cmd.Env = append(cmd.Env, environ...)
	return start(t, cmd)
}

// From within its sandbox the daemon sends traces where the variables say, the last of them at its end.
func TestTraces(t *testing.T) {
	for _, netns := range []string{"self", "all"} {
		t.Run(netns, func(t *testing.T) {
			receiver := newTraceReceiver(t)
			d := serveTraced(t, []string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=" + strings.Replace(receiver.URL, "127.0.0.1", "localhost", 1),
				"OTEL_EXPORTER_OTLP_HEADERS=x-tenant=a%20b", "OTEL_SERVICE_NAME=this-host",
			}, "--netns", netns)
			d.get("/api/connections")
			d.get("/healthz")
			if code := d.stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d: %s", code, d.log)
			}
			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			slices.Sort(receiver.spans)
			want := []string{
				"this-host//rest /api/connections", "this-host//rest /healthz", "this-host/rest /api/connections/dump",
				"this-host/rest /api/connections/encode", "this-host/rest /api/connections/join", "this-host/rest /api/connections/wait",
			}
			if diff := cmp.Diff(want, receiver.spans); diff != "" {
				t.Errorf("spans (-want +got):\n%s\n%s", diff, d.log)
			}
		})
	}
}

// Traces that nobody takes harm nobody, and that is said once. Where the name of the host is not known there are none.
func TestTracesAreLost(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens there any more
	d := serveTraced(t, []string{"OTEL_BSP_SCHEDULE_DELAY=50", fmt.Sprint("OTEL_EXPORTER_OTLP_ENDPOINT=http://", listener.Addr())}, "--bpf", "off")
	for range 3 {
		if status, _, body := d.get("/get_connections"); status != http.StatusOK {
			t.Errorf("status %d: %s", status, body)
		}
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
	if n := strings.Count(d.log.String(), `"message":"traces cannot be sent, and are lost"`); n != 1 || !strings.Contains(d.log.String(), "connection refused") {
		t.Errorf("it is said %d times, want once, and why:\n%s", n, d.log)
	}

	d = serveTraced(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://nowhere.invalid:4318"}, "--bpf", "off")
	if _, _, body := d.get("/readyz"); !strings.Contains(body, `{"feature":"tracing","reason":"look up the host of the endpoint: `) {
		t.Errorf("/readyz: %s, want that there are no traces", body)
	}

	cmd := command(t, "serve", "--rpc-bind-port", "0")
	cmd.Env = append(cmd.Env, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	code, says := fails(t, cmd)
	want := `connectionsd: OTEL_EXPORTER_OTLP_PROTOCOL "grpc": want http/protobuf, the only one that there is` + "\n"
	if code != 2 || !strings.HasSuffix(says, want) {
		t.Errorf("exit code %d, %q, want 2, %q at the end", code, says, want)
	}
}
