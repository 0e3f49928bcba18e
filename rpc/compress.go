package rpc

import (
	"compress/gzip"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/zstd"
)

// minCompressed is the length, in bytes, from which an answer is worth compressing: what fits into one packet is not.
const minCompressed = 1024

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
	return wrap(next)
}
