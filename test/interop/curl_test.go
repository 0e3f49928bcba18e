//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	accessToken = "3f9c2b7a-0d4e-4c1b-9a61-5e8d7c6b5a49"
	wrongToken  = "3f9c2b7a-0d4e-4c1b-9a61-5e8d7c6b5a48"
)

// curl runs curl with args and returns the body and the status that it got.
func curl(t *testing.T, args ...string) (body []byte, status string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	out := output(t, nil, path, append([]string{"--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"}, args...)...)
	end := bytes.LastIndexByte(out, '\n')
	return out[:end], string(out[end+1:])
}

// gateway is the command of the gateway's documentation, word for word but for
// the server and the method's parameters.
func gateway(url, params string) []string {
	return []string{
		"--location", "--request", "POST", url, "--header", "Content-Type: application/json",
		"--data-raw", `{"jsonrpc": "2.0", "method": "get_connections", "params": ` + params + `, "id": "getblock.io"}`,
	}
}

// TestGateway sends what a client of a hosted gateway sends.
func TestGateway(t *testing.T) {
	d := serve(t, "--access-token", accessToken)
	out := openConnection(t)

	t.Run("answer", func(t *testing.T) {
		for _, path := range []string{"/" + accessToken + "/", "/" + accessToken + "/json_rpc"} {
			for _, params := range []string{"[]", "{}", "null"} {
				body, status := curl(t, gateway(d.url+path, params)...)
				if status != "200" {
					t.Fatalf("%s, params %s: status %s: %s", path, params, status, body)
				}
				var answer map[string]json.RawMessage
				decode(t, body, &answer)
				result := answer["result"]
				delete(answer, "result")
				if diff := cmp.Diff(map[string]json.RawMessage{"id": []byte(`"getblock.io"`), "jsonrpc": []byte(`"2.0"`)}, answer); diff != "" {
					t.Errorf("%s: answer beside the result (-want +got):\n%s", path, diff)
				}
				if diff := cmp.Diff(out.fields(), known(out.in(t, recordsOf(t, result)))); diff != "" {
					t.Errorf("%s: record (-want +got):\n%s", path, diff)
				}
			}
		}
	})
	t.Run("bare", func(t *testing.T) {
		for _, args := range [][]string{
			{d.url + "/" + accessToken + "/get_connections"},
			{"--request", "POST", d.url + "/" + accessToken + "/get_connections"},
			{"--data-raw", "{}", d.url + "/" + accessToken + "/get_connections"},
		} {
			body, status := curl(t, args...)
			if status != "200" {
				t.Fatalf("%v: status %s: %s", args, status, body)
			}
			if diff := cmp.Diff(out.fields(), known(out.in(t, recordsOf(t, body)))); diff != "" {
				t.Errorf("%v: record (-want +got):\n%s", args, diff)
			}
		}
	})
	t.Run("REST", func(t *testing.T) {
		body, status := curl(t, d.url+"/"+accessToken+"/api/connections")
		if status != "200" {
			t.Fatalf("status %s: %s", status, body)
		}
		var answer struct {
			Listeners   []json.RawMessage
			Connections []struct {
				ToAddress string
				ToPort    json.Number
			}
		}
		decode(t, body, &answer)
		found := false
		for _, flow := range answer.Connections {
			found = found || flow.ToAddress == "127.0.0.1" && flow.ToPort.String() == out.port()
		}
		if len(answer.Listeners) == 0 || !found {
			t.Errorf("want listeners, and a connection to 127.0.0.1:%s in %s", out.port(), body)
		}
	})
	t.Run("invalid parameters", func(t *testing.T) {
		for _, params := range []string{`{"incoming":"yes"}`, `["x"]`, `"x"`} {
			body, status := curl(t, gateway(d.url+"/"+accessToken+"/", params)...)
			var answer struct {
				ID    string
				Error struct {
					Code    int
					Message string
				}
			}
			decode(t, body, &answer)
			if status != "200" || answer.ID != "getblock.io" || answer.Error.Code != -32602 || answer.Error.Message != "Invalid params" {
				t.Errorf("params %s: status %s, %s, want 200, -32602 Invalid params", params, status, body)
			}
		}
	})
	t.Run("wrong token", func(t *testing.T) {
		paths := []string{
			"/", "/json_rpc", "/get_connections", "/get_info", "/api/connections",
			"/" + wrongToken + "/", "/" + wrongToken + "/json_rpc", "/" + wrongToken + "/get_connections", "/" + wrongToken + "/api/connections", "/" + strings.ToUpper(accessToken) + "/",
		}
		for _, path := range paths {
			for name, args := range map[string][]string{"POST": gateway(d.url+path, "[]"), "GET": {d.url + path}} {
				body, status := curl(t, args...)
				if status != "404" || !strings.Contains(string(body), "Not found") {
					t.Errorf("%s %s: status %s, %s, want 404, Not found", name, path, status, body)
				}
			}
		}
		if body, status := curl(t, d.url+"/healthz"); status != "200" {
			t.Errorf("/healthz: status %s, %s, want 200", status, body)
		}
	})
	t.Run("unknown path", func(t *testing.T) {
		body, status := curl(t, d.url+"/"+accessToken+"/nosuch")
		if status != "404" || !strings.Contains(string(body), "Not found") {
			t.Errorf("status %s, %s, want 404, Not found", status, body)
		}
	})
}

// TestGatewayWithoutToken sends the same command to a daemon that has none.
func TestGatewayWithoutToken(t *testing.T) {
	d := serve(t)
	out := openConnection(t)
	body, status := curl(t, gateway(d.url+"/", "[]")...)
	if status != "200" {
		t.Fatalf("status %s: %s", status, body)
	}
	var answer struct{ Result json.RawMessage }
	decode(t, body, &answer)
	if diff := cmp.Diff(out.fields(), known(out.in(t, recordsOf(t, answer.Result)))); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// TestGatewayRate goes past the rate of a client.
func TestGatewayRate(t *testing.T) {
	d := serve(t, "--rate-limit", "0.01", "--rate-burst", "2")
	for range 2 {
		if body, status := curl(t, gateway(d.url+"/", "[]")...); status != "200" {
			t.Fatalf("status %s: %s", status, body)
		}
	}
	body, status := curl(t, gateway(d.url+"/", "[]")...)
	if status != "429" || !strings.Contains(string(body), "Too Many Requests") {
		t.Errorf("status %s, %s, want 429, Too Many Requests", status, body)
	}
}

// TestCurlLogin gives curl the login.
func TestCurlLogin(t *testing.T) {
	d := serve(t, "--rpc-login", loginUser+":"+loginPassword)
	out := openConnection(t)
	for _, test := range []struct {
		login, status string
	}{
		{loginUser + ":" + loginPassword, "200"},
		{loginUser + ":wrong", "401"},
		{"mallory:" + loginPassword, "401"},
	} {
		for name, args := range map[string][]string{
			"envelope": gateway(d.url+"/json_rpc", "[]"), "bare": {d.url + "/get_connections"}, "REST": {d.url + "/api/connections"},
		} {
			body, status := curl(t, append(args, "--digest", "--user", test.login)...)
			if status != test.status {
				t.Errorf("%s as %s: status %s, %s, want %s", name, test.login, status, body, test.status)
			}
			if name == "bare" && status == "200" {
				if diff := cmp.Diff(out.fields(), known(out.in(t, recordsOf(t, body)))); diff != "" {
					t.Errorf("record (-want +got):\n%s", diff)
				}
			}
		}
	}
	if body, status := curl(t, d.url+"/get_connections"); status != "401" {
		t.Errorf("without login: status %s, %s, want 401", status, body)
	}
}
