//go:build linux

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answering starts a server that answers each path in a way of its own, and
// returns a client of it.
func answering(t *testing.T) *client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /json_rpc", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			w.Write(bytes.Repeat([]byte("x"), 300<<10)) // in chunks, since it has no length
		}
	})
	mux.HandleFunc("GET /two", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"connection_id":"1"},{"connection_id":"2"}]`)
	})
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"connection_id":"1"}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestClientKeepsItsConnection(t *testing.T) {
	c := answering(t)
	for range 3 {
		request := call(getVersion)
		answer, err := c.read(request)
		if err != nil || string(answer) != getVersion {
			t.Fatalf("answer %q, error %v, want what was sent: %q", answer, err, getVersion)
		}
		if err := c.skip(get("/long")); err != nil {
			t.Fatal(err)
		}
		answer, err = c.read(get("/long"))
		if err != nil || len(answer) != 10*300<<10 {
			t.Fatalf("an answer of %d bytes, error %v, want %d", len(answer), err, 10*300<<10)
		}
	}
}

func TestClientWantsSuccess(t *testing.T) {
	c := answering(t)
	err := c.skip(get("/none"))
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want the status 404 in it", err)
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		path    string
		records int
		want    string // the beginning of the error
	}{
		{"/two", 2, ""},
		{"/two", 3, "the answer has 2 records, want 3"},
		{"/half", 1, "the answer is not JSON"},
	} {
		err := answering(t).check(get(tc.path), tc.records)
		if got := errorText(err); !strings.HasPrefix(got, tc.want) || tc.want == "" && err != nil {
			t.Errorf("%s for %d records: error %q, want %q", tc.path, tc.records, got, tc.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCallWith(t *testing.T) {
	request := callWith(`{"limit":1}`)
	const body = `{"jsonrpc":"2.0","id":"0","method":"get_connections","params":{"limit":1}}`
	if !bytes.HasSuffix(request, []byte("\r\nContent-Length: 74\r\n\r\n"+body)) {
		t.Errorf("request %q, want it to end with its length and %q", request, body)
	}
}
