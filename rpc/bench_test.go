package rpc

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func benchmarkRouter() *Router {
	r := NewRouter(zerolog.Nop())
	r.Handle("get_connections", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		return append(dst, `{"connections":[],"status":"OK","untrusted":false}`...), nil
	})
	return r
}

const benchmarkCall = `{"jsonrpc":"2.0","id":"0","method":"get_connections","params":{"incoming":true}}`

func benchmarkEnvelope(b *testing.B, body string) {
	r, text, dst := benchmarkRouter(), []byte(body), []byte(nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Answer(context.Background(), ParseMessage(text), dst[:0])
	}
}

func BenchmarkEnvelopeSingle(b *testing.B) { benchmarkEnvelope(b, benchmarkCall) }

func BenchmarkEnvelopeBatch100(b *testing.B) { benchmarkEnvelope(b, batchOf(100, benchmarkCall)) }

// nowhere is a ResponseWriter that costs nothing, so that what is measured is the handler.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

func BenchmarkHTTPSingle(b *testing.B) {
	opts := Options{Router: benchmarkRouter(), Access: Access{Rate: 1e9, Burst: 1e6, AllowedHosts: []string{"example.com"}}}
	h := NewHandler(opts)
	body := strings.NewReader(benchmarkCall)
	request := httptest.NewRequest("POST", "/json_rpc", body)
	w := nowhere{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		body.Reset(benchmarkCall)
		request.Body = io.NopCloser(body)
		h.ServeHTTP(w, request)
	}
}
