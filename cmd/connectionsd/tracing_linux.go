package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/connectionsd/connectionsd/rpc"
)

// How long the last traces may take at the end, and what OpenTelemetry's specification has for what its variables do not say.
const (
	lastTraces           = 2 * time.Second
	defaultTraceEndpoint = "http://localhost:4318/v1/traces"
	defaultTraceTimeout  = 10 * time.Second
)

// tracing sends a trace of each request by OTLP over HTTP, once it is answered. A nil tracing does nothing.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	port     uint16 // that it connects to
}

// traceSettings are what OpenTelemetry's variables say (docs/tracing.md).
type traceSettings struct {
	endpoint *url.URL // nil: there are no traces
	headers  http.Header
	timeout  time.Duration
}

// newTracing returns the tracing that the variables ask for, nil if they ask for none. An error says which of them is wrong.
// It is for before the sandbox, in which no name can be looked up.
func newTracing(ctx context.Context, getenv func(string) string, degraded *degradations, log zerolog.Logger) (*tracing, error) {
	s, err := readTraceSettings(getenv)
	if err != nil || s.endpoint == nil {
		return nil, err
	}
	client, port, err := newTraceClient(ctx, s, log)
	if err != nil {
		log.Warn().Str("feature", "tracing").Err(err).Msg("there are no traces")
		degraded.add("tracing", err.Error())
		return nil, nil
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("make traces: %w", err)
	}
	// Of two that say the same the second counts: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say.
	about, err := resource.Merge(resource.NewSchemaless(attribute.String("service.name", "connectionsd"), attribute.String("service.version", version)), resource.Environment())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return tracingBy(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), port), nil
}

func tracingBy(provider *sdktrace.TracerProvider, port uint16) *tracing {
	return &tracing{provider: provider, tracer: provider.Tracer("github.com/connectionsd/connectionsd"), port: port}
}

// after returns what is done after each request: what next does, and the trace.
func (t *tracing) after(next func(rpc.Answered)) func(rpc.Answered) {
	if t == nil {
		return next
	}
	return func(a rpc.Answered) {
		next(a)
		t.answered(a)
	}
}

// answered makes the spans of a request: the request, and in it what it waited for, the dump, the owners and all else that was
// joined, and the answer.
func (t *tracing) answered(a rpc.Answered) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(a.Request.Header))
	ctx, span := t.tracer.Start(ctx, a.Face+" "+a.Method, trace.WithTimestamp(a.Began), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("connectionsd.face", a.Face), attribute.String("connectionsd.method", a.Method),
			attribute.Int("http.response.status_code", a.Status)))
	end := a.Began.Add(a.Took)
	if span.IsRecording() && !a.Times.Began.IsZero() {
		part := func(name string, from, to time.Time) {
			if from.Before(to) {
				_, child := t.tracer.Start(ctx, name, trace.WithTimestamp(from))
				child.End(trace.WithTimestamp(to))
			}
		}
		part("wait", a.Began, a.Times.Began)
		part("dump", a.Times.Began, a.Times.Dumped)
		part("join", a.Times.Dumped, a.Times.Joined)
		part("encode", a.Times.Joined, end)
	}
	switch {
	case a.Status == 0:
		span.SetStatus(codes.Error, "broken off")
	case a.Status >= http.StatusInternalServerError:
		span.SetStatus(codes.Error, http.StatusText(a.Status))
	}
	span.End(trace.WithTimestamp(end))
}

// close sends what has not been sent.
func (t *tracing) close(log zerolog.Logger) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTraces)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		log.Warn().Err(err).Msg("the last traces are lost")
	}
}

// readTraceSettings reads OpenTelemetry's variables, of each the one for traces before the one for all.
func readTraceSettings(getenv func(string) string) (s traceSettings, err error) {
	either := func(what string) (name, value string) {
		for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + what, "OTEL_EXPORTER_OTLP_" + what} {
			if value := getenv(name); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	name, endpoint := either("ENDPOINT")
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "":
		return s, nil
	case exporter != "" && exporter != "otlp":
		return s, fmt.Errorf("OTEL_TRACES_EXPORTER %.100q: want otlp or none", exporter)
	}
	switch name {
	case "":
		endpoint = defaultTraceEndpoint
	case "OTEL_EXPORTER_OTLP_ENDPOINT":
		endpoint = strings.TrimSuffix(endpoint, "/") + "/v1/traces"
	}
	s.endpoint, err = url.Parse(endpoint)
	if err != nil || s.endpoint.Scheme != "http" && s.endpoint.Scheme != "https" || s.endpoint.Hostname() == "" {
		return s, fmt.Errorf("%s: want a URL such as http://localhost:4318", name) // not its value: it may have a password
	}
	if name, protocol := either("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return s, fmt.Errorf("%s %.100q: want http/protobuf, the only one that there is", name, protocol)
	}
	s.timeout = defaultTraceTimeout
	if name, text := either("TIMEOUT"); text != "" {
		milliseconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil || milliseconds == 0 {
			return s, fmt.Errorf("%s %.100q: want a number of milliseconds", name, text)
		}
		s.timeout = time.Duration(milliseconds) * time.Millisecond
	}
	s.headers = make(http.Header)
	name, headers := either("HEADERS")
	for pair := range strings.SplitSeq(headers, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || key == "" || err != nil {
			return s, fmt.Errorf("%s: want key=value pairs, separated by commas", name) // not its value, which is a secret
		}
		s.headers.Set(key, value)
	}
	return s, nil
}

// newTraceClient looks up all that it needs of this host: in the sandbox that cannot be done.
func newTraceClient(ctx context.Context, s traceSettings, log zerolog.Logger) (*traceClient, uint16, error) {
	service := s.endpoint.Port()
	if service == "" {
		service = map[string]string{"http": "80", "https": "443"}[s.endpoint.Scheme]
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("the port of the endpoint: %w", err)
	}
	looking, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(looking, "ip", s.endpoint.Hostname())
	if err != nil {
		return nil, 0, fmt.Errorf("look up the host of the endpoint: %w", err)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var errs []error
			for _, address := range addresses {
				conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(address.String(), service))
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		},
		IdleConnTimeout: time.Minute,
	}
	if s.endpoint.Scheme == "https" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, 0, fmt.Errorf("read the certificates of this host: %w", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &traceClient{url: s.endpoint.String(), headers: s.headers, http: &http.Client{Transport: transport, Timeout: s.timeout}, log: log}, uint16(port), nil
}
