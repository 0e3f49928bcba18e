//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tsConfig is the configuration of monero-ts's connectToDaemonRpc.
type tsConfig struct {
	URI           string `json:"uri"`
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	ProxyToWorker bool   `json:"proxyToWorker"`
}

// tsOutcome is what a call of monero-ts returned or raised.
type tsOutcome struct {
	Returned json.RawMessage
	Raised   string // the class of an error
	Code     int
	Message  string
}

// tsValue is a value with JavaScript's name for its type. A bigint is written
// as a string.
type tsValue struct {
	Type  string
	Value any
}

// ts makes calls without arguments. The library may print nothing.
func ts(t *testing.T, config tsConfig, calls ...string) []tsOutcome {
	t.Helper()
	task, err := json.Marshal(map[string]any{"config": config, "calls": calls})
	if err != nil {
		t.Fatal(err)
	}
	result, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("ts", "client.js"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+peer(t, "ts", "node_modules"))
	cmd.Stdin, cmd.ExtraFiles = bytes.NewReader(task), []*os.File{result}
	if printed, err := cmd.CombinedOutput(); err != nil || len(printed) > 0 {
		t.Fatalf("monero-ts: %v; it printed %q, want nothing", err, printed)
	}
	text, err := os.ReadFile(result.Name())
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []tsOutcome
	decode(t, text, &outcomes)
	if len(outcomes) != len(calls) {
		t.Fatalf("%d outcomes of %d calls", len(outcomes), len(calls))
	}
	return outcomes
}

// tsTypes are the members of monero-ts's MoneroPeer that come from a record,
// and isOnline, which it adds. It has no member for connection_id: peer_id
// takes its place.
var tsTypes = map[string]string{
	"address": "string", "avgDownload": "number", "avgUpload": "number", "currentDownload": "number", "currentUpload": "number",
	"height": "number", "host": "string", "id": "string", "isIncoming": "boolean", "isLocalHost": "boolean", "isLocalIp": "boolean",
	"isOnline": "boolean", "liveTime": "number", "numReceives": "number", "numSends": "number", "numSupportFlags": "number",
	"port": "number", "pruningSeed": "number", "receiveIdleTime": "number", "rpcCreditsPerHash": "bigint", "rpcPort": "number",
	"sendIdleTime": "number", "state": "string", "type": "number",
}

// tsVarying are those that time changes.
var tsVarying = []string{"avgDownload", "avgUpload", "currentDownload", "currentUpload", "liveTime", "receiveIdleTime", "sendIdleTime"}

// TestMoneroTS reads the daemon with monero-ts.
func TestMoneroTS(t *testing.T) {
	for _, login := range []struct {
		name   string
		config tsConfig
		args   []string
	}{
		{name: "without login"},
		{name: "in a worker", config: tsConfig{ProxyToWorker: true}},
		{"with login", tsConfig{Username: loginUser, Password: loginPassword}, []string{"--rpc-login", loginUser + ":" + loginPassword}},
	} {
		t.Run(login.name, func(t *testing.T) {
			d := serve(t, login.args...)
			c := openConnection(t)
			login.config.URI = d.url
			outcomes := ts(t, login.config, "getPeers", "getPeers", "getVersion")
			for _, o := range outcomes {
				if o.Raised != "" {
					t.Fatalf("%s %d: %s", o.Raised, o.Code, o.Message)
				}
			}
			for _, o := range outcomes[:2] {
				checkPeer(t, c, o.Returned)
			}
			var version struct{ Number, IsRelease tsValue }
			decode(t, outcomes[2].Returned, &version)
			if diff := cmp.Diff(tsValue{"number", 196618.0}, version.Number); diff != "" || version.IsRelease.Type != "boolean" {
				t.Errorf("getVersion() returned %s", outcomes[2].Returned)
			}
		})
	}
}

// checkPeer checks the peer that getPeers made of the record of c's opener.
func checkPeer(t *testing.T, c connection, returned json.RawMessage) {
	t.Helper()
	var all []map[string]tsValue
	decode(t, returned, &all)
	var peer map[string]tsValue
	for _, p := range all {
		types := make(map[string]string)
		for name, v := range p {
			types[name] = v.Type
		}
		if diff := cmp.Diff(tsTypes, types); diff != "" {
			t.Errorf("types of a peer (-want +got):\n%s", diff)
		}
		if p["address"].Value == c.opener.RemoteAddr().String() {
			peer = p
		}
	}
	if peer == nil {
		t.Fatalf("no peer %s in %s", c.opener.RemoteAddr(), returned)
	}
	got := make(map[string]any)
	for name, v := range peer {
		got[name] = v.Value
	}
	for _, name := range tsVarying {
		delete(got, name)
	}
	port, err := strconv.ParseFloat(c.port(), 64)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"address": c.opener.RemoteAddr().String(), "height": 0.0, "host": "127.0.0.1", "id": "0000000000000000", "isIncoming": false,
		"isLocalHost": true, "isLocalIp": false, "isOnline": true, "numReceives": float64(receivedBytes), "numSends": float64(sentBytes),
		"numSupportFlags": 0.0, "port": port, "pruningSeed": 0.0, "rpcCreditsPerHash": "0", "rpcPort": 0.0, "state": "normal", "type": 1.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("peer (-want +got):\n%s", diff)
	}
}

// TestMoneroTSRaises gets monero-ts to raise what it has for errors.
func TestMoneroTSRaises(t *testing.T) {
	for _, test := range []struct {
		name     string
		args     []string
		path     string
		password string
		call     string
		code     int
		message  string
	}{
		{name: "-32601", call: "getHeight", code: -32601, message: "^Method not found$"},
		{
			name: "401", args: []string{"--rpc-login", loginUser + ":" + loginPassword}, password: "wrong", call: "getPeers",
			code: 401, message: "^401 Unauthorized",
		},
		{name: "404", args: []string{"--access-token", accessToken}, path: "/" + wrongToken, call: "getPeers", code: 404, message: "^404 Not Found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := tsConfig{URI: serve(t, test.args...).url + test.path}
			if test.password != "" {
				config.Username, config.Password = loginUser, test.password
			}
			o := ts(t, config, test.call)[0]
			if o.Raised != "MoneroRpcError" || o.Code != test.code || !regexp.MustCompile(test.message).MatchString(o.Message) {
				t.Errorf("raised %s %d: %s, want MoneroRpcError %d: %s", o.Raised, o.Code, o.Message, test.code, test.message)
			}
		})
	}
	t.Run("right token", func(t *testing.T) {
		d := serve(t, "--access-token", accessToken)
		c := openConnection(t)
		o := ts(t, tsConfig{URI: d.url + "/" + accessToken}, "getPeers")[0]
		if o.Raised != "" {
			t.Fatalf("%s %d: %s", o.Raised, o.Code, o.Message)
		}
		checkPeer(t, c, o.Returned)
	})
}
