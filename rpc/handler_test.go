package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/sourcegraph/jsonrpc2"
)

// testOptions serve a get_connections that answers with its params, and handlers that say their name.
func testOptions(log io.Writer) Options {
	router := NewRouter(zerolog.New(log))
	router.Handle("get_connections", func(_ context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		switch string(params) {
		case `{"pid":-1}`:
			return dst, InvalidParams("pid must be at least 1")
		case `{"pid":500}`:
			return append(dst, "dropped"...), errors.New("netlink: no buffer space")
		case `{"pid":-32000}`:
			return dst, &jsonrpc2.Error{Code: -32000, Message: "Busy"}
		}
		return fmt.Appendf(dst, `{"params":%s}`, append([]byte{}, params...)), nil
	})
	router.Handle("get_info", failing(nil))
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, http.StatusOK, []byte(`"`+name+`"`))
		})
	}
	return Options{
		Router: router,
		Bare:   router,
		Queries: map[string]QueryParams{
			"get_connections": func(values url.Values) (json.RawMessage, error) {
				switch {
				case len(values) == 0:
					return nil, nil
				case values.Has("broken"):
					return nil, errors.New("the query reader's own")
				case values.Has("pid"):
					return json.RawMessage(`{"pid":` + values.Get("pid") + `}`), nil
				}
				return nil, InvalidParams("the only parameter is pid")
			},
		},
		Connections: named("connections"),
		Health:      named("health"),
		Ready:       named("ready"),
		Metrics:     named("metrics"),
		Access:      Access{AllowedHosts: []string{"example.com"}}, // of httptest.NewRequest
		Log:         zerolog.New(log),
	}
}

type response struct {
	Status int
	Header http.Header
	Body   string
}

// jsonResponse is a response with the headers that each has, and more as pairs of name and value.
func jsonResponse(status int, body string, more ...string) response {
	h := http.Header{
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
		"Content-Type":           {"application/json"},
		"Content-Length":         {fmt.Sprint(len(body))},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return response{Status: status, Header: h, Body: body}
}

// routed is r as the routes answer it: compressed or not by what the client accepts.
func routed(r response) response {
	r.Header = r.Header.Clone()
	r.Header.Set("Vary", "Accept-Encoding")
	return r
}

func serve(h http.Handler, r *http.Request) response {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return response{Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.String()}
}

func TestHandler(t *testing.T) {
	const (
		call     = `{"jsonrpc":"2.0","method":"get_connections","params":{"pid":7},"id":"0"}`
		answer   = `{"id":"0","jsonrpc":"2.0","result":{"params":{"pid":7}}}`
		notFound = `{"error":"Not found"}`
	)
	noContent := response{Status: 204, Header: http.Header{"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}}
	large := strings.Repeat(" ", MaxBody)

	for _, test := range []struct {
		name, method, target, body string
		want                       response
	}{
		{"a call", "POST", "/json_rpc", call, jsonResponse(200, answer)},
		{"a call to the root", "POST", "/", call, jsonResponse(200, answer)},
		{"a batch", "POST", "/json_rpc", "[" + call + "," + call + "]", jsonResponse(200, "["+answer+","+answer+"]")},
		{"a notification", "POST", "/json_rpc", `{"jsonrpc":"2.0","method":"get_connections"}`, noContent},
		{"a batch of notifications", "POST", "/json_rpc", `[{"jsonrpc":"2.0","method":"get_connections"}]`, noContent},
		{
			"errors of JSON-RPC are OK to HTTP", "POST", "/json_rpc", "",
			jsonResponse(200, failure(-32700, "Parse error", "the body is empty", "null")),
		},
		{
			"an internal error is OK to HTTP", "POST", "/json_rpc", `{"jsonrpc":"2.0","method":"get_connections","params":{"pid":500},"id":1}`,
			jsonResponse(200, failure(-32603, "Internal error", "", "1")),
		},
		{"the largest body", "POST", "/json_rpc", call + large[len(call):], jsonResponse(200, answer)},
		{
			"a body too large", "POST", "/json_rpc", call + large[len(call)-1:],
			jsonResponse(413, invalid("the body has more than 1048576 bytes", "null")),
		},
		{
			"GET of the envelope", "GET", "/json_rpc", "",
			jsonResponse(405, `{"error":{"code":405,"data":"allowed: POST","message":"Method not allowed"},"id":null,"jsonrpc":"2.0"}`, "Allow", "POST"),
		},
		{
			"GET of the root", "GET", "/", "",
			jsonResponse(405, `{"error":{"code":405,"data":"allowed: POST","message":"Method not allowed"},"id":null,"jsonrpc":"2.0"}`, "Allow", "POST"),
		},

		{"bare, empty body", "POST", "/get_connections", "", jsonResponse(200, `{"params":}`)},
		{"bare, white space", "POST", "/get_connections", " \n", jsonResponse(200, `{"params":}`)},
		{"bare, null", "POST", "/get_connections", "null", jsonResponse(200, `{"params":}`)},
		{"bare, params", "POST", "/get_connections", `{"pid":7}`, jsonResponse(200, `{"params":{"pid":7}}`)},
		{"bare, a result of nothing", "POST", "/get_info", "", jsonResponse(200, `dropped`)},
		{
			"bare, not JSON", "POST", "/get_connections", `{"pid"}`,
			jsonResponse(400, `{"error":{"code":-32700,"data":"the body is not valid JSON at byte 7","message":"Parse error"}}`),
		},
		{
			"bare, a primitive", "POST", "/get_connections", `7`,
			jsonResponse(400, `{"error":{"code":-32602,"data":"params must be an object or an array","message":"Invalid params"}}`),
		},
		{
			"bare, params refused", "POST", "/get_connections", `{"pid":-1}`,
			jsonResponse(400, `{"error":{"code":-32602,"data":"pid must be at least 1","message":"Invalid params"}}`),
		},
		{
			"bare, internal error", "POST", "/get_connections", `{"pid":500}`,
			jsonResponse(500, `{"error":{"code":-32603,"message":"Internal error"}}`),
		},
		{
			"bare, a server error", "POST", "/get_connections", `{"pid":-32000}`,
			jsonResponse(500, `{"error":{"code":-32000,"message":"Busy"}}`),
		},
		{
			"bare, body too large", "POST", "/get_connections", large + " ",
			jsonResponse(413, `{"error":{"code":-32600,"data":"the body has more than 1048576 bytes","message":"Invalid Request"}}`),
		},
		{"bare GET", "GET", "/get_connections", "", jsonResponse(200, `{"params":}`)},
		{"bare GET with a query", "GET", "/get_connections?pid=7", "", jsonResponse(200, `{"params":{"pid":7}}`)},
		{
			"bare GET, refused by the query", "GET", "/get_connections?pod=7", "",
			jsonResponse(400, `{"error":{"code":-32602,"data":"the only parameter is pid","message":"Invalid params"}}`),
		},
		{
			"bare GET, malformed query", "GET", "/get_connections?pid=%zz", "",
			jsonResponse(400, `{"error":{"code":-32602,"data":"the query string cannot be read: invalid URL escape \"%zz\"","message":"Invalid params"}}`),
		},
		{
			"bare GET, the query function fails", "GET", "/get_connections?broken", "",
			jsonResponse(500, `{"error":{"code":-32603,"message":"Internal error"}}`),
		},
		{
			"bare, other method", "DELETE", "/get_connections", "",
			jsonResponse(405, `{"error":{"code":405,"data":"allowed: GET, HEAD, POST","message":"Method not allowed"}}`, "Allow", "GET, HEAD, POST"),
		},
		{
			"bare, GET of a method without params", "GET", "/get_info?pid=7", "", jsonResponse(200, `dropped`),
		},

		{"REST", "GET", "/api/connections", "", jsonResponse(200, `"connections"`)},
		{"REST, other method", "POST", "/api/connections", "{}", jsonResponse(405, `{"error":"Method not allowed"}`, "Allow", "GET, HEAD")},
		{"REST, method that nobody knows", "BREW", "/api/connections", "", jsonResponse(405, `{"error":"Method not allowed"}`, "Allow", "GET, HEAD")},
		{"health", "GET", "/healthz", "", jsonResponse(200, `"health"`)},
		{"ready", "GET", "/readyz", "", jsonResponse(200, `"ready"`)},
		{"metrics", "GET", "/metrics", "", jsonResponse(200, `"metrics"`)},
		{"health, other method", "POST", "/healthz", "", jsonResponse(405, `{"error":"Method not allowed"}`, "Allow", "GET, HEAD")},

		{"unknown path", "GET", "/json_rpc/", "", jsonResponse(404, notFound)},
		{"unknown path, POST", "POST", "/get_peers", "", jsonResponse(404, notFound)},
		{"unknown path, method that nobody knows", "BREW", "/coffee", "", jsonResponse(404, notFound)},
		{"path in disguise", "GET", "/get%5Fconnections", "", jsonResponse(404, notFound)},
		{"the server itself", "OPTIONS", "*", "", jsonResponse(404, notFound)},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
			request.Header.Set("Content-Type", "text/plain")
			if diff := cmp.Diff(routed(test.want), serve(NewHandler(testOptions(io.Discard)), request)); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

// HEAD needs a real server: leaving out the body is net/http's part.
func TestHeadHasTheHeadersOfGet(t *testing.T) {
	server := httptest.NewServer(NewHandler(testOptions(io.Discard)))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, path := range []string{"/get_connections?pid=7", "/api/connections", "/healthz", "/readyz", "/metrics"} {
		var headers [2]http.Header
		for i, method := range []string{"GET", "HEAD"} {
			request, err := http.NewRequest(method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if got.StatusCode != 200 || (len(body) > 0) != (method == "GET") {
				t.Errorf("%s %s: status %d, body %q", method, path, got.StatusCode, body)
			}
			got.Header.Del("Date")
			headers[i] = got.Header
		}
		if diff := cmp.Diff(headers[0], headers[1]); diff != "" {
			t.Errorf("%s (-GET +HEAD):\n%s", path, diff)
		}
	}
}

func TestHandlersThatAreNilHaveNoRoute(t *testing.T) {
	h := NewHandler(Options{Router: NewRouter(zerolog.Nop()), Access: Access{AllowedHosts: []string{"example.com"}}})
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/connections", "/get_connections"} {
		if got := serve(h, httptest.NewRequest("GET", path, nil)); got.Status != 404 {
			t.Errorf("%s: status %d, want 404", path, got.Status)
		}
	}
}

// half is a body whose sender goes away.
type half struct{ io.Reader }

func (h half) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestClientThatLeavesInTheMiddleOfItsBody(t *testing.T) {
	for path, want := range map[string]string{
		"/json_rpc":        failure(-32700, "Parse error", "the body ended early", "null"),
		"/get_connections": `{"error":{"code":-32700,"data":"the body ended early","message":"Parse error"}}`,
	} {
		var log bytes.Buffer
		h := NewHandler(testOptions(&log))
		// What has come is a whole call: that it must not be executed is the point.
		body := half{strings.NewReader(`{"jsonrpc":"2.0","method":"get_connections","params":{"pid":500},"id":1}`)}
		if diff := cmp.Diff(routed(jsonResponse(400, want)), serve(h, httptest.NewRequest("POST", path, body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if log.Len() > 0 {
			t.Errorf("%s: log %s", path, log.String())
		}
	}
}

func TestPanicOfAHandler(t *testing.T) {
	var log bytes.Buffer
	opts := testOptions(&log)
	opts.Connections = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("not even begun") })
	opts.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half an ans")
		panic("half way")
	})
	opts.Ready = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h := NewHandler(opts)

	got := serve(h, httptest.NewRequest("GET", "/api/connections", nil))
	if diff := cmp.Diff(routed(jsonResponse(500, `{"error":"Internal error"}`)), got); diff != "" {
		t.Errorf("before the answer (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/metrics", "/readyz"} {
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("%s: panic %v, want that the connection is cut", path, v)
				}
			}()
			serve(h, httptest.NewRequest("GET", path, nil))
		}()
	}
	want := []map[string]any{
		{"level": "error", "path": "/api/connections", "panic": "not even begun", "stack": true, "message": "handler panicked"},
		{"level": "error", "path": "/metrics", "panic": "half way", "stack": true, "message": "handler panicked"},
	}
	if diff := cmp.Diff(want, logLines(t, log.String())); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestBuffersAboveTheBoundAreNotKept(t *testing.T) {
	for _, test := range []struct{ size, want int }{{maxPooledBuffer, maxPooledBuffer}, {maxPooledBuffer + 1, 0}} {
		b := new(buffers)
		buf := new([]byte)
		b.put(buf, make([]byte, test.size))
		if len(*buf) != 0 || cap(*buf) != test.want {
			t.Errorf("answer of %d bytes: buffer of %d bytes kept, want %d", test.size, cap(*buf), test.want)
		}
	}
}
