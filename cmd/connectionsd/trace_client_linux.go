package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/rs/zerolog"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traceClient posts traces, as OTLP over HTTP wants them in protobuf. OpenTelemetry's own (otlptracehttp) comes with gRPC,
// which adds 6 MB to the program: the message that it takes from there is the same on the wire as TracesData.
type traceClient struct {
	url     string
	headers http.Header
	http    *http.Client
	log     zerolog.Logger
	failing atomic.Bool
}

// Start makes traceClient an otlptrace.Client.
func (c *traceClient) Start(context.Context) error { return nil }

// Stop ends the connections.
func (c *traceClient) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends spans once. What cannot be sent is lost, which is logged when it begins and when it ends.
func (c *traceClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := c.upload(ctx, spans)
	if before := c.failing.Swap(err != nil); err != nil && !before {
		c.log.Warn().Err(err).Msg("traces cannot be sent, and are lost")
	} else if err == nil && before {
		c.log.Info().Msg("traces are sent again")
	}
	return nil // the SDK would write it to stderr
}

func (c *traceClient) upload(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode traces: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send traces: %w", err)
	}
	request.Header = c.headers.Clone()
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("send traces: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection is used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("send traces: %s", response.Status)
	}
	return nil
}
