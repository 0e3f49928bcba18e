package rpc

import (
	"bufio"
	"compress/gzip"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/zstd"
)

// minCompressed is the length, in bytes, from which an answer is worth compressing: what fits into one packet is not.
const minCompressed = 1024

// gatheredAtOnce is how many compressed bytes are written at once. How long a client may take is reckoned for each
// write, and a compressor makes pieces of some hundred bytes.
const gatheredAtOnce = 32 << 10

// compressed compresses answers for the clients that ask for gzip or zstd, of equals by zstd, at the levels that cost the
// least. Answers to HEAD have the headers of the answer that is not compressed.
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(minCompressed),
		gzhttp.CompressionLevel(gzip.BestSpeed),
		gzhttp.ZstdCompressionLevel(int(zstd.SpeedFastest)),
		gzhttp.ContentTypes([]string{"application/json", "application/yaml", "text/plain", "application/openmetrics-text"}),
	)
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	compress := wrap(next)
	buffers := &sync.Pool{New: func() any { return bufio.NewWriterSize(nil, gatheredAtOnce) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &gathering{ResponseWriter: w, buffers: buffers}
		defer g.giveBack()
		compress.ServeHTTP(g, r)
		_ = g.flushBuffer() // it fails only if the client has gone
	})
}

// gathering is an http.ResponseWriter that gathers what a compressor writes in small pieces. What is not compressed passes.
type gathering struct {
	http.ResponseWriter
	buffers *sync.Pool
	buffer  *bufio.Writer // nil until something compressed is written
	begun   bool          // the status has been said
}

// WriteHeader begins the answer.
func (g *gathering) WriteHeader(status int) {
	g.begun = g.begun || status >= http.StatusOK
	g.ResponseWriter.WriteHeader(status)
}

// Write begins the answer too: it is no longer one that can become another.
func (g *gathering) Write(b []byte) (int, error) {
	if !g.begun {
		g.WriteHeader(http.StatusOK)
	}
	if g.buffer == nil && g.Header().Get("Content-Encoding") != "" {
		g.buffer = g.buffers.Get().(*bufio.Writer)
		g.buffer.Reset(g.ResponseWriter)
	}
	if g.buffer == nil {
		return g.ResponseWriter.Write(b)
	}
	return g.buffer.Write(b)
}

func (g *gathering) flushBuffer() error {
	if g.buffer == nil {
		return nil
	}
	return g.buffer.Flush()
}

// giveBack gives the buffer back. What a handler that panics has left there is not sent.
func (g *gathering) giveBack() {
	if g.buffer != nil {
		g.buffer.Reset(nil)
		g.buffers.Put(g.buffer)
		g.buffer = nil
	}
}

// FlushError is what [http.ResponseController] calls.
func (g *gathering) FlushError() error {
	if err := g.flushBuffer(); err != nil {
		return err
	}
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Flush makes a gathering an http.Flusher.
func (g *gathering) Flush() { _ = g.FlushError() }

// Unwrap is for [http.ResponseController].
func (g *gathering) Unwrap() http.ResponseWriter { return g.ResponseWriter }
