//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// record is one record of get_connections, its numbers as json.Number.
type record map[string]any

func (r record) text(field string) string {
	return fmt.Sprint(r[field])
}

// number returns a field that is a whole number. Its ok is false for others.
func (r record) number(field string) (n int64, ok bool) {
	v, ok := r[field].(json.Number)
	if !ok {
		return 0, false
	}
	n, err := v.Int64()
	return n, err == nil
}

// client calls one JSON-RPC server, over one connection that it keeps open.
type client struct {
	url  string
	http *http.Client
}

func newClient(t *testing.T, url string) *client {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{url: url, http: &http.Client{Transport: transport, Timeout: 2 * time.Minute}}
}

// call calls a method with params (JSON) and returns its result.
func (c *client) call(method, params string) (json.RawMessage, error) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":"0","method":%q,"params":%s}`, method, params)
	text, err := c.post("/json_rpc", body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result, Error json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w in %q", method, err, text)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("%s(%s): error %s", method, params, answer.Error)
	}
	return answer.Result, nil
}

// post posts body to path and returns the answer, which must come with 200.
func (c *client) post(path, body string) ([]byte, error) {
	response, err := c.http.Post(c.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("POST %s: %s %s", path, response.Status, text)
	}
	return text, nil
}

// connections calls get_connections and returns its records.
func (c *client) connections(params string) ([]record, error) {
	result, err := c.call("get_connections", params)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Connections []record
	}
	decoder := json.NewDecoder(bytes.NewReader(result))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return nil, fmt.Errorf("get_connections: %w", err)
	}
	return answer.Connections, nil
}

// must is for calls that cannot fail but for a defect.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// decode reads JSON into v.
func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
