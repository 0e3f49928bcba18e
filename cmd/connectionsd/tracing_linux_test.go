package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/rpc"
)

// What OpenTelemetry's variables say, as its specification has it.
func TestTraceSettings(t *testing.T) {
	for _, tc := range []struct {
		environ map[string]string
		want    string // endpoint, timeout, headers
	}{
		{nil, "none"},
		{map[string]string{"OTEL_SERVICE_NAME": "x"}, "none"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"}, "none"},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, "none"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces 10s map[]"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"}, "http://h:1/v1/traces 10s map[]"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h/base/"}, "https://h/base/v1/traces 10s map[]"},
		{
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:2/as-it-is"},
			"http://t:2/as-it-is 10s map[]",
		},
		{
			map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
				"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hunter2, x-tenant=a",
			},
			"http://h:1/v1/traces 2.5s map[Authorization:[Bearer hunter2] X-Tenant:[a]]",
		},
		{map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, `error: OTEL_TRACES_EXPORTER "zipkin": want otlp or none`},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "hunter2"}, "error: OTEL_EXPORTER_OTLP_ENDPOINT: want a URL such as http://localhost:4318"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://hunter2@h"}, "error: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: want a URL such as http://localhost:4318"},
		{
			map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			`error: OTEL_EXPORTER_OTLP_PROTOCOL "grpc": want http/protobuf, the only one that there is`,
		},
		{
			map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "soon"},
			`error: OTEL_EXPORTER_OTLP_TRACES_TIMEOUT "soon": want a number of milliseconds`,
		},
		{
			map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2"},
			"error: OTEL_EXPORTER_OTLP_HEADERS: want key=value pairs, separated by commas",
		},
	} {
		s, err := readTraceSettings(func(name string) string { return tc.environ[name] })
		got := "none"
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case s.endpoint != nil:
			got = fmt.Sprint(s.endpoint, " ", s.timeout, " ", s.headers)
		}
		if got != tc.want {
			t.Errorf("%v: %s, want %s", tc.environ, got, tc.want)
		}
	}
}

// A request is a span of the trace that its client has begun, with a span for each of its parts.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	traced := tracingBy(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)), 4318)
	began := time.Unix(1_000_000_000, 0)
	at := func(milliseconds int) time.Time { return began.Add(time.Duration(milliseconds) * time.Millisecond) }
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/json_rpc", nil)
	request.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	counted := 0
	after := traced.after(func(rpc.Answered) { counted++ })
	after(rpc.Answered{
		Face: "envelope", Method: "get_connections", Status: 200, Request: request, Began: began, Took: 20 * time.Millisecond,
		Times: collector.Times{Began: at(2), Dumped: at(9), Joined: at(14)},
	})
	request.Header.Del("Traceparent")
	after(rpc.Answered{Face: "rest", Method: "/healthz", Status: 200, Request: request, Began: began, Took: time.Millisecond})
	after(rpc.Answered{Face: "rest", Method: "/api/connections", Status: 500, Request: request, Began: began, Took: time.Millisecond})
	after(rpc.Answered{Face: "bare", Method: "get_connections", Request: request, Began: began, Took: time.Millisecond})
	var got []string
	for _, span := range recorder.Ended() {
		line := fmt.Sprint(span.Name(), " ", span.SpanKind(), " ", span.StartTime().Sub(began), "-", span.EndTime().Sub(began), " ", span.Status().Code, " ", span.Status().Description)
		if span.SpanContext().TraceID().String() == "0123456789abcdef0123456789abcdef" {
			line += " of the client"
		}
		if span.Parent().IsValid() && !span.Parent().IsRemote() {
			line += " in another"
		}
		got = append(got, line)
	}
	want := []string{
		"wait internal 0s-2ms Unset  of the client in another",
		"dump internal 2ms-9ms Unset  of the client in another",
		"join internal 9ms-14ms Unset  of the client in another",
		"encode internal 14ms-20ms Unset  of the client in another",
		"envelope get_connections server 0s-20ms Unset  of the client",
		"rest /healthz server 0s-1ms Unset ",
		"rest /api/connections server 0s-1ms Error Internal Server Error",
		"bare get_connections server 0s-1ms Error broken off",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if counted != 4 {
		t.Errorf("%d requests were counted, want 4", counted)
	}
	if err := traced.provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Without the variables there is no tracing, and what is done after a request is what was done without.
func TestNoTracing(t *testing.T) {
	traced, err := newTracing(t.Context(), func(string) string { return "" }, new(degradations), zerolog.Nop())
	if traced != nil || err != nil {
		t.Fatalf("%v, %v", traced, err)
	}
	counted := 0
	after := traced.after(func(rpc.Answered) { counted++ })
	if n := testing.AllocsPerRun(10, func() { after(rpc.Answered{}) }); n != 0 || counted != 11 {
		t.Errorf("%v allocations, %d counted, want none, 11", n, counted)
	}
	traced.close(zerolog.Nop())
}
