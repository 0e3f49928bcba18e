package rpc

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// text is a JSON string of n bytes that repeats itself as much as records do.
func text(n int) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "address:198.51.%d.%d:%d,incoming:false;", i/7%256, i%256, i*i)
	}
	return b.String()[:n-1] + `"`
}

// sized serves an answer of n bytes at /api/connections, /metrics and as the result of the method "sized".
func sized(n int) http.Handler {
	opts := testOptions(io.Discard)
	opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, []byte(text(n))) })
	opts.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		for line := range strings.SplitAfterSeq(text(n), "9") { // of no length that is told before
			_, _ = io.WriteString(w, line)
		}
	})
	opts.OpenAPI = Document("application/yaml", text(n))
	opts.Health = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, text(n))
	})
	opts.Router.Handle("sized", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		return append(dst, text(n)...), nil
	})
	return NewHandler(opts)
}

func decoded(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = r
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		body = r
	}
	plain, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestCompression(t *testing.T) {
	const large = 100_000
	for _, test := range []struct {
		path, accept string
		size         int
		want         string // Content-Encoding
	}{
		{"/api/connections", "", large, ""},
		{"/api/connections", "identity", large, ""},
		{"/api/connections", "br", large, ""},
		{"/api/connections", "*", large, ""},
		{"/api/connections", "gzip", large, "gzip"},
		{"/api/connections", "GZIP", large, "gzip"},
		{"/api/connections", "zstd", large, "zstd"},
		{"/api/connections", "gzip, deflate, br, zstd", large, "zstd"},
		{"/api/connections", "deflate, gzip", large, "gzip"},
		{"/api/connections", "zstd;q=0.5, gzip;q=0.8", large, "gzip"},
		{"/api/connections", "zstd;q=0.8, gzip;q=0.5", large, "zstd"},
		{"/api/connections", "gzip;q=0", large, ""},
		{"/api/connections", "zstd;q=0, gzip", large, "gzip"},
		{"/api/connections", "gzip", 1023, ""},
		{"/api/connections", "gzip", 1024, "gzip"},
		{"/api/connections", "zstd", 1023, ""},
		{"/api/connections", "zstd", 1024, "zstd"},
		{"/metrics", "gzip", large, "gzip"},
		{"/metrics", "zstd", large, "zstd"},
		{"/metrics", "gzip", 1023, ""},
		{"/metrics", "", large, ""},
		{"/openapi.yaml", "gzip", large, "gzip"},
		{"/healthz", "gzip", large, ""}, // not of a type that is text
	} {
		t.Run(fmt.Sprintf("%s %q %d", test.path, test.accept, test.size), func(t *testing.T) {
			request := httptest.NewRequest("GET", test.path, nil)
			if test.accept != "" {
				request.Header.Set("Accept-Encoding", test.accept)
			}
			got := serve(sized(test.size), request)
			if got.Status != 200 || got.Header.Get("Content-Encoding") != test.want || got.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("status %d, headers %v, want encoding %q", got.Status, got.Header, test.want)
			}
			length := ""
			if test.want == "" && test.path == "/api/connections" {
				length = fmt.Sprint(test.size)
			}
			if got.Header.Get("Content-Length") != length {
				t.Errorf("Content-Length %q, want %q", got.Header.Get("Content-Length"), length)
			}
			if test.want != "" && len(got.Body) >= test.size*3/4 {
				t.Errorf("%d bytes were made %d", test.size, len(got.Body))
			}
			if decoded(t, test.want, strings.NewReader(got.Body)) != text(test.size) {
				t.Error("the decoded answer is another")
			}
		})
	}
}

// Over a socket, too, each answer has its length or an end that can be told, and HEAD the headers of the plain answer.
func TestCompressionOverASocket(t *testing.T) {
	server := httptest.NewServer(sized(5000))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		method, path, accept string
		encoding             string
		length               int64 // -1: not told
	}{
		{"GET", "/api/connections", "", "", 5000},
		{"GET", "/api/connections", "gzip", "gzip", -1},
		{"GET", "/api/connections", "zstd", "zstd", -1},
		{"HEAD", "/api/connections", "", "", 5000},
		{"HEAD", "/api/connections", "zstd", "", 5000},
		{"POST", "/json_rpc", "", "", 5036},
		{"POST", "/json_rpc", "gzip", "gzip", -1},
		{"POST", "/json_rpc", "zstd", "zstd", -1},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path,
			strings.NewReader(`{"jsonrpc":"2.0","id":"0","method":"sized"}`))
		if err != nil {
			t.Fatal(err)
		}
		if test.accept != "" {
			request.Header.Set("Accept-Encoding", test.accept)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		name := test.method + " " + test.path + " " + test.accept
		if got := response.Header.Get("Content-Encoding"); response.StatusCode != 200 || got != test.encoding {
			t.Errorf("%s: status %d, encoding %q, want 200, %q", name, response.StatusCode, got, test.encoding)
		}
		if test.length >= 0 && response.ContentLength != test.length || test.length < 0 && response.ContentLength >= 5000 {
			t.Errorf("%s: Content-Length %d, want %d", name, response.ContentLength, test.length)
		}
		want := ""
		if test.method != "HEAD" {
			want = text(5000)
		}
		if test.method == "POST" {
			want = `{"id":"0","jsonrpc":"2.0","result":` + want + `}`
		}
		if diff := cmp.Diff(want, decoded(t, test.encoding, bytes.NewReader(body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestErrorsAreNotCompressed(t *testing.T) {
	opts := limited(1e-9, 1)
	h := NewHandler(opts)
	for _, status := range []int{404, 429} {
		request := httptest.NewRequest("GET", "/nowhere", nil)
		request.Header.Set("Accept-Encoding", "gzip, zstd")
		if got := serve(h, request); got.Status != status || got.Header.Get("Content-Encoding") != "" || got.Header.Get("Content-Length") == "" {
			t.Errorf("status %d, headers %v, want %d in plain", got.Status, got.Header, status)
		}
	}
}

// pieces notes how many bytes are written at once.
type pieces struct {
	http.ResponseWriter
	sizes []int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	return p.ResponseWriter.Write(b)
}

// What is compressed is written in pieces of some size, so that who takes little of it at a time does not seem to take much.
func TestCompressedPieces(t *testing.T) {
	noise := make([]byte, 300_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, hex.EncodeToString(noise))
	}))
	for _, encoding := range []string{"gzip", "zstd"} {
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("Accept-Encoding", encoding)
		recorder := httptest.NewRecorder()
		w := &pieces{ResponseWriter: recorder}
		h.ServeHTTP(w, request)
		if got := decoded(t, encoding, recorder.Body); got != hex.EncodeToString(noise) {
			t.Errorf("%s: %d bytes are not what was written", encoding, len(got))
		}
		last := len(w.sizes) - 1
		if last < 2 {
			t.Fatalf("%s: pieces of %v bytes, want several", encoding, w.sizes)
		}
		for _, size := range w.sizes[:last] {
			if size < gatheredAtOnce {
				t.Errorf("%s: a piece of %d bytes, want at least %d", encoding, size, gatheredAtOnce)
			}
		}
	}
}

// An answer whose handler panics half way must not look whole because the compressor has ended it.
func TestPanicWhileCompressing(t *testing.T) {
	for _, encoding := range []string{"gzip", "zstd"} {
		opts := testOptions(io.Discard)
		opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text(200_000))
			panic("half way")
		})
		server := httptest.NewServer(NewHandler(opts))
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/connections", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", encoding)
		response, err := client.Do(request)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer came to an end", encoding)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}
