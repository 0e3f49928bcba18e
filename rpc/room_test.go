package rpc

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURLsThatAreTooLong(t *testing.T) {
	h := NewHandler(testOptions(io.Discard))
	const why = "the URL has more than 8192 bytes"
	for _, test := range []struct{ method, path, want string }{
		{"POST", "/json_rpc", `{"error":{"code":414,"message":"` + why + `"},"id":null,"jsonrpc":"2.0"}`},
		{"POST", "/get_connections", `{"error":{"code":414,"message":"` + why + `"}}`},
		{"GET", "/get_connections", `{"error":{"code":414,"message":"` + why + `"}}`},
		{"GET", "/api/connections", `{"error":"` + why + `"}`},
		{"GET", "/healthz", `{"error":"` + why + `"}`},
		{"GET", "/nowhere", `{"error":"` + why + `"}`},
	} {
		target := test.path + "?" + strings.Repeat("a", maxURL-len(test.path)-1)
		if got := serve(h, httptest.NewRequest(test.method, target, strings.NewReader("{}"))); got.Status == 414 {
			t.Errorf("%s %s of %d bytes: status 414", test.method, test.path, len(target))
		}
		got := serve(h, httptest.NewRequest(test.method, target+"a", strings.NewReader("{}")))
		if diff := cmp.Diff(jsonResponse(414, test.want), got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
}
