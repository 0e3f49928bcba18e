//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pythonCall is a method of monero-python's JSONRPCDaemon and its arguments.
type pythonCall []any

// pythonOutcome is what it returned or raised.
type pythonOutcome struct {
	Returned json.RawMessage
	Raised   string // the class of an exception
	Message  string
}

// python makes calls, one after the other from one client.
func python(t *testing.T, d *connectionsd, user, password string, calls ...pythonCall) []pythonOutcome {
	t.Helper()
	task, err := json.Marshal(map[string]any{"port": d.port(t), "user": user, "password": password, "calls": calls})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []pythonOutcome
	decode(t, output(t, task, peer(t, "python", "bin", "python"), filepath.Join("python", "client.py")), &outcomes)
	if len(outcomes) != len(calls) {
		t.Fatalf("%d outcomes of %d calls", len(outcomes), len(calls))
	}
	return outcomes
}

// peer is the path of something that setup has installed.
func peer(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{".peers"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	return path
}

// output runs a program to its end and returns what it writes to stdout. It
// may write nothing to stderr.
func output(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes()
}

// returned are the records in an outcome, either the bare result of
// get_connections or, with envelope, its answer to the id "7".
func (o pythonOutcome) records(t *testing.T, envelope bool) []record {
	t.Helper()
	if o.Raised != "" {
		t.Fatalf("%s: %s", o.Raised, o.Message)
	}
	result := o.Returned
	if envelope {
		var answer struct {
			ID, JSONRPC string
			Result      json.RawMessage
		}
		decode(t, result, &answer)
		if answer.ID != "7" || answer.JSONRPC != "2.0" {
			t.Errorf("id %q, jsonrpc %q, want 7, 2.0", answer.ID, answer.JSONRPC)
		}
		result = answer.Result
	}
	return recordsOf(t, result)
}

// TestMoneroPython reads the daemon with monero-python.
func TestMoneroPython(t *testing.T) {
	envelope := map[string]any{"jsonrpc": "2.0", "id": "7", "method": "get_connections"}
	reads := []pythonCall{
		{"raw_jsonrpc_request", "get_connections"},
		{"raw_request", "/get_connections", map[string]any{}},
		{"raw_request", "/json_rpc", envelope},
		{"raw_jsonrpc_request", "get_connections", map[string]any{"incoming": false}},
		{"raw_request", "/get_connections", map[string]any{"incoming": false}},
		{"info"},
		{"raw_jsonrpc_request", "get_version"},
		{"raw_request", "/get_info", map[string]any{}},
		{"raw_request", "/get_net_stats", map[string]any{}},
	}
	for _, login := range []struct {
		name, user, password string
		args                 []string
	}{
		{name: "without login"},
		{"with login", loginUser, loginPassword, []string{"--rpc-login", loginUser + ":" + loginPassword}},
	} {
		t.Run(login.name, func(t *testing.T) {
			d := serve(t, login.args...)
			out := openConnection(t)
			outcomes := python(t, d, login.user, login.password, reads...)
			for i, call := range reads[:5] {
				r := out.in(t, outcomes[i].records(t, i == 2))
				if diff := cmp.Diff(out.fields(), known(r)); diff != "" {
					t.Errorf("%v: record (-want +got):\n%s", call, diff)
				}
			}
			var info struct {
				Status                      string
				Mainnet, Testnet, Stagenet  *bool
				IncomingConnectionsCount    *int `json:"incoming_connections_count"`
				OutgoingConnectionsCount    *int `json:"outgoing_connections_count"`
				RPCConnectionsCount, Height *int
			}
			for i, call := range reads[5:] {
				if o := outcomes[5+i]; o.Raised != "" {
					t.Errorf("%v: %s: %s", call, o.Raised, o.Message)
				}
			}
			decode(t, outcomes[5].Returned, &info)
			if info.Status != "OK" || info.Mainnet == nil || info.Testnet == nil || info.Stagenet == nil || info.Height == nil ||
				info.IncomingConnectionsCount == nil || info.OutgoingConnectionsCount == nil {
				t.Errorf("info() returned %s", outcomes[5].Returned)
			}
		})
	}
}

// TestMoneroPythonRaises gets monero-python to raise what it has for errors.
func TestMoneroPythonRaises(t *testing.T) {
	login := loginUser + ":" + loginPassword
	for _, test := range []struct {
		name            string
		args            []string
		user, password  string
		call            pythonCall
		times           int // that the call is made; the last counts
		raised, message string
	}{
		{
			name: "-32601", call: pythonCall{"raw_jsonrpc_request", "nosuch"},
			raised: "MethodNotFound", message: `Daemon method "nosuch" not found`,
		},
		{
			name: "-32602", call: pythonCall{"raw_jsonrpc_request", "get_connections", map[string]any{"incoming": "yes"}},
			raised: "RPCError", message: "Method 'get_connections' failed with RPC Error of unknown code -32602, message: Invalid params",
		},
		{
			name: "-32602 on the path of its own", call: pythonCall{"raw_request", "/get_connections", map[string]any{"incoming": "yes"}},
			raised: "RPCError", message: "Invalid HTTP status 400 for path /get_connections.",
		},
		{
			name: "404 path", call: pythonCall{"raw_request", "/nosuch", map[string]any{}},
			raised: "RPCError", message: "Invalid HTTP status 404 for path /nosuch.",
		},
		{
			name: "404 no token", args: []string{"--access-token", accessToken}, call: pythonCall{"raw_jsonrpc_request", "get_connections"},
			raised: "RPCError", message: "Invalid HTTP status 404 for method get_connections.",
		},
		{
			name: "404 wrong token", args: []string{"--access-token", accessToken}, call: pythonCall{"raw_request", "/" + wrongToken + "/get_connections", map[string]any{}},
			raised: "RPCError", message: "Invalid HTTP status 404 for path /" + wrongToken + "/get_connections.",
		},
		{
			name: "right token", args: []string{"--access-token", accessToken}, call: pythonCall{"raw_request", "/" + accessToken + "/get_connections", map[string]any{}},
		},
		{
			name: "429", args: []string{"--rate-limit", "0.01", "--rate-burst", "2"}, call: pythonCall{"raw_jsonrpc_request", "get_connections"}, times: 3,
			raised: "RPCError", message: "Invalid HTTP status 429 for method get_connections.",
		},
		{
			name: "429 on the path of its own", args: []string{"--rate-limit", "0.01", "--rate-burst", "2"},
			call: pythonCall{"raw_request", "/get_connections", map[string]any{}}, times: 3,
			raised: "RPCError", message: "Invalid HTTP status 429 for path /get_connections.",
		},
		{
			name: "401 wrong password", args: []string{"--rpc-login", login}, user: loginUser, password: "wrong",
			call:   pythonCall{"raw_jsonrpc_request", "get_connections"},
			raised: "Unauthorized", message: "401 Unauthorized. Invalid RPC user name or password.",
		},
		{
			name: "401 no login", args: []string{"--rpc-login", login}, call: pythonCall{"raw_jsonrpc_request", "get_connections"},
			raised: "Unauthorized", message: "401 Unauthorized. Invalid RPC user name or password.",
		},
		{
			name: "401 on the path of its own", args: []string{"--rpc-login", login}, user: loginUser, password: "wrong",
			call:   pythonCall{"raw_request", "/get_connections", map[string]any{}},
			raised: "RPCError", message: "Invalid HTTP status 401 for path /get_connections.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := serve(t, test.args...)
			var calls []pythonCall
			for range max(test.times, 1) {
				calls = append(calls, test.call)
			}
			outcomes := python(t, d, test.user, test.password, calls...)
			for i, o := range outcomes[:len(outcomes)-1] {
				if o.Raised != "" {
					t.Errorf("call %d of %d raised %s: %s", i+1, len(calls), o.Raised, o.Message)
				}
			}
			last := outcomes[len(outcomes)-1]
			if last.Raised != test.raised || last.Message != test.message {
				t.Errorf("raised %q: %q, want %q: %q", last.Raised, last.Message, test.raised, test.message)
			}
		})
	}
}
