package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/model"
)

// long is a method whose result is an array of n strings of 1000 bytes each, after which it fails if fail is set.
func long(n int, fail error) StreamHandler {
	return func(_ context.Context, _ json.RawMessage, out *Reply) error {
		out.Buf = append(out.Buf, '[')
		for i := range n {
			if i > 0 {
				out.Buf = append(out.Buf, ',')
			}
			out.Buf = fmt.Appendf(out.Buf, `"%0998d"`, i)
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if fail != nil {
			return fail
		}
		out.Buf = append(out.Buf, ']')
		return nil
	}
}

// serving runs a server whose method m, on both faces, is h.
func serving(t *testing.T, h StreamHandler) *httptest.Server {
	t.Helper()
	router := NewRouter(zerolog.Nop())
	router.HandleStream("m", h)
	server := httptest.NewServer(NewHandler(Options{Router: router, Bare: router}))
	t.Cleanup(server.Close)
	return server
}

const callM = `{"jsonrpc":"2.0","id":"x","method":"m"}`

// An answer that is long leaves while it is made, without a length; a short one has it. What arrives is the same.
func TestLongAnswers(t *testing.T) {
	for _, test := range []struct {
		n       int
		chunked bool
	}{{0, false}, {1, false}, {500, false}, {600, true}, {5000, true}} {
		server := serving(t, long(test.n, nil))
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		for _, path := range []string{"/m", "/json_rpc"} {
			response, err := client.Post(server.URL+path, "", strings.NewReader(map[string]string{"/json_rpc": callM}[path]))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%d, %s: status %d, error %v", test.n, path, response.StatusCode, err)
			}
			if chunked := response.ContentLength < 0; chunked != test.chunked {
				t.Errorf("%d, %s: without a length: %v, want %v", test.n, path, chunked, test.chunked)
			}
			var result []string
			if path == "/m" {
				err = json.Unmarshal(body, &result)
			} else {
				var envelope struct {
					ID, JSONRPC string
					Result      []string
				}
				if err = json.Unmarshal(body, &envelope); envelope.ID != "x" || envelope.JSONRPC != "2.0" {
					t.Errorf("%d: envelope with id %q, jsonrpc %q", test.n, envelope.ID, envelope.JSONRPC)
				}
				result = envelope.Result
			}
			if err != nil || len(result) != test.n {
				t.Errorf("%d, %s: %d strings, error %v", test.n, path, len(result), err)
			}
			for i, s := range result {
				if s != fmt.Sprintf("%0998d", i) {
					t.Fatalf("%d, %s: string %d is %s", test.n, path, i, s)
				}
			}
		}
	}
}

// A method that fails before anything was sent has an error as any other. Once a part was sent the connection breaks, so
// that nobody takes it for the whole. Over HTTP/1.0 nothing is sent before the end where the connection cannot be reset.
func TestErrorsThatComeLate(t *testing.T) {
	server := serving(t, long(1000, errors.New("late")))
	early := serving(t, long(10, errors.New("late")))
	const internal = `{"error":{"code":-32603,"message":"Internal error"},"id":"x","jsonrpc":"2.0"}`
	for _, test := range []struct {
		name, url, body, protocol string
		want                      string // "" for a connection that breaks
	}{
		{"envelope", server.URL + "/json_rpc", callM, "HTTP/1.1", ""},
		{"bare", server.URL + "/m", "", "HTTP/1.1", ""},
		{"batch", server.URL + "/json_rpc", "[" + callM + "]", "HTTP/1.1", ""},
		{"envelope over HTTP/1.0", server.URL + "/json_rpc", callM, "HTTP/1.0", internal},
		{"bare over HTTP/1.0", server.URL + "/m", "", "HTTP/1.0", `{"error":{"code":-32603,"message":"Internal error"}}`},
		{"short batch", early.URL + "/json_rpc", "[" + callM + "," + callM + "]", "HTTP/1.1", "[" + internal + "," + internal + "]"},
		{"short envelope", early.URL + "/json_rpc", callM, "HTTP/1.1", internal},
		{"short bare", early.URL + "/m", "", "HTTP/1.1", `{"error":{"code":-32603,"message":"Internal error"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequest("POST", test.url, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", request.URL.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s %s\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", request.URL.Path, test.protocol, len(test.body), test.body)
			response, err := http.ReadResponse(bufio.NewReader(conn), request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if test.want == "" {
				if err == nil {
					t.Errorf("a part of %d bytes passes for the whole", len(body))
				}
				return
			}
			if err != nil || string(body) != test.want {
				t.Errorf("%.200s, error %v, want %s", body, err, test.want)
			}
		})
	}
}

// A client that takes nothing does not keep a snapshot for ever: when its memory is needed the answer breaks off.
func TestASnapshotIsTakenBack(t *testing.T) {
	evicted, evict := context.WithCancel(context.Background())
	released := make(chan struct{})
	server := serving(t, func(_ context.Context, _ json.RawMessage, out *Reply) error {
		defer close(released)
		defer out.cutOff(evicted)()
		for {
			out.Buf = append(out.Buf, make([]byte, flushFrom)...)
			if err := out.Flush(); err != nil {
				return err
			}
		}
	})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /m HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
	select {
	case <-released:
		t.Fatal("the answer ended although it has no end")
	case <-time.After(100 * time.Millisecond): // what the sockets take is full by now, or soon
	}
	evict()
	select {
	case <-released:
	case <-time.After(10 * time.Second):
		t.Fatal("the answer still waits for its client")
	}
}

// The records of a dump that goes on are those of its whole.
func TestGetConnectionsFollowsADump(t *testing.T) {
	snap := crowd(3000)
	var whole, parts Reply
	p := connectionsParams{}
	for _, steps := range [][]int{{3000}, {0, 1, 512, 512, 2999, 3000}} {
		out := &parts
		if len(steps) == 1 {
			out = &whole
		}
		w := connectionsWriter{p: &p, scope: new(model.Scope)}
		for _, n := range steps {
			view := *snap
			view.Sockets, view.Known = snap.Sockets[:n], snap.Known[:n]
			if err := w.write(out, &view, n == 3000); err != nil {
				t.Fatal(err)
			}
		}
	}
	if string(whole.Buf) != string(parts.Buf) || strings.Count(string(whole.Buf), `"connection_id"`) != 3000 {
		t.Errorf("%d bytes in parts, %d as a whole", len(parts.Buf), len(whole.Buf))
	}
}
