package rpc

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// aNode is a host with a monerod (P2P 18080, RPC 18081), this daemon (28081) and a browser.
func aNode() *model.Snapshot {
	snap := snapshotOf(
		socketOf(model.Listen, "0.0.0.0:18080", "0.0.0.0:0"),
		socketOf(model.Listen, "127.0.0.1:18081", "0.0.0.0:0"),
		socketOf(model.Listen, "127.0.0.1:28081", "0.0.0.0:0"),
		socketOf(model.Established, "192.0.2.1:18080", "198.51.100.1:40001"),
		socketOf(model.Established, "192.0.2.1:40002", "198.51.100.2:18080"),
		socketOf(model.Established, "192.0.2.1:40003", "198.51.100.3:18080"),
		socketOf(model.Established, "127.0.0.1:18081", "127.0.0.1:40004"),
		socketOf(model.Established, "127.0.0.1:28081", "127.0.0.1:40005"),
		socketOf(model.Established, "192.0.2.1:40006", "203.0.113.9:443"),
		socketOf(model.SynSent, "192.0.2.1:40007", "198.51.100.4:18080"),
	)
	snap.Owners = []model.Owner{{PID: 100, Name: "monerod"}, {PID: 200, Name: "connectionsd"}, {PID: 300, Name: "firefox"}}
	for i, owner := range []int32{0, 0, 1, 0, 0, 0, 0, 1, 2, 0} {
		snap.Known[i].Owner = owner
		snap.Known[i].Incoming = i == 3 || i == 6 || i == 7
		snap.Sockets[i].BytesReceived = 1 << i
		snap.Sockets[i].BytesSent = 1 << (i + 10)
	}
	return snap
}

func node(c Collector, scope uint16) *Node {
	return &Node{
		Collector: c, Scope: scope, Height: 42, Version: "v1.2.3", RPCPort: 28081, Started: time.Unix(1000, 0),
		ProcessStart: func(pid int32) (time.Time, error) {
			if pid != 100 {
				return time.Time{}, os.ErrNotExist
			}
			return time.Unix(500, 0), nil
		},
		Now: func() time.Time { return time.Unix(2000, 0) },
	}
}

func TestGetVersion(t *testing.T) {
	got, err := node(nil, 0).GetVersion(t.Context(), nil, nil)
	if want := `{"release":false,"status":"OK","untrusted":false,"version":196618}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestGetNetStats(t *testing.T) {
	for _, test := range []struct {
		scope uint16
		want  string
	}{
		// The whole host: 3 to 9 but for 7, a client of this daemon.
		{0, `{"start_time":1000,"status":"OK","total_bytes_in":888,"total_bytes_out":909312,"total_packets_in":0,"total_packets_out":0,"untrusted":false}`},
		// The monerod: 3, 4, 5.
		{18080, `{"start_time":500,"status":"OK","total_bytes_in":56,"total_bytes_out":57344,"total_packets_in":0,"total_packets_out":0,"untrusted":false}`},
		// Nobody listens there.
		{7, `{"start_time":1000,"status":"OK","total_bytes_in":0,"total_bytes_out":0,"total_packets_in":0,"total_packets_out":0,"untrusted":false}`},
	} {
		c := &stillness{snap: aNode()}
		got, err := node(c, test.scope).GetNetStats(t.Context(), nil, nil)
		if err != nil || string(got) != test.want {
			t.Errorf("scope %d: %s, %v, want %s", test.scope, got, err, test.want)
		}
		if c.released != 1 {
			t.Errorf("scope %d: released %d times, want once", test.scope, c.released)
		}
		// A scope needs every owner of its listener: what its workers accepted is its own.
		if want := (collector.Want{Owners: test.scope != 0, ListenerOwners: test.scope != 0, Scope: test.scope}); c.wants[0] != want {
			t.Errorf("scope %d: asked for %+v, want %+v", test.scope, c.wants[0], want)
		}
	}
}

func TestGetInfo(t *testing.T) {
	captured, err := os.ReadFile("testdata/monerod_get_info.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		scope uint16
		want  map[string]any
	}{
		{0, map[string]any{"incoming_connections_count": 2., "outgoing_connections_count": 4., "rpc_connections_count": 1., "start_time": 1000.}},
		{18080, map[string]any{"incoming_connections_count": 1., "outgoing_connections_count": 2., "rpc_connections_count": 1., "start_time": 500.}},
	} {
		b, err := node(&stillness{snap: aNode()}, test.scope).GetInfo(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got, theirs map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(captured, &theirs); err != nil {
			t.Fatal(err)
		}
		// Every member of monerod's, of the same type, and no other.
		for name, value := range theirs {
			switch value.(type) {
			case float64:
				theirs[name] = 0.
			case string:
				theirs[name] = ""
			case bool:
				theirs[name] = false
			}
		}
		for name, value := range map[string]any{
			"adjusted_time": 2000., "height": 42., "height_without_bootstrap": 42., "nettype": "fakechain", "status": "OK",
			"target": 120., "top_block_hash": zeroHash, "version": "v1.2.3",
			"wide_cumulative_difficulty": "0x0", "wide_difficulty": "0x0",
		} {
			theirs[name] = value
		}
		for name, value := range test.want {
			theirs[name] = value
		}
		if diff := cmp.Diff(theirs, got); diff != "" {
			t.Errorf("scope %d (-want +got):\n%s", test.scope, diff)
		}
	}
}

// Only the owner tells a node's connections from others: where it cannot be seen the answer is an error, not a part.
func TestScopeUnseen(t *testing.T) {
	snap := aNode()
	snap.Known[0].Owner = model.NoOwner
	c := &stillness{snap: snap}
	want := `{"code":-32001,"data":"scope: the owner of the listener on port 18080 cannot be seen: ` +
		`the daemon must run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH","message":"Scope not visible"}`
	for name, h := range map[string]Handler{
		"get_info": node(c, 18080).GetInfo, "get_net_stats": node(c, 18080).GetNetStats,
		"get_connections": gathered(GetConnections(c, ConnectionsOptions{Scope: 18080})),
	} {
		_, err := h(t.Context(), nil, nil)
		// Asked twice: a process that restarts may have left during the first look.
		if len(c.wants) != 2 || c.released != 2 {
			t.Errorf("%s: asked %d times, released %d, want 2, 2", name, len(c.wants), c.released)
		}
		c.wants, c.released = nil, 0
		var rpcErr *jsonrpc2.Error
		if !errors.As(err, &rpcErr) || string(appendError(nil, rpcErr)) != want {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
}

func TestGetConnectionsScope(t *testing.T) {
	for _, test := range []struct {
		scope  uint16
		params string
		want   []string
	}{
		{18080, ``, []string{"198.51.100.1:40001", "198.51.100.2:18080", "198.51.100.3:18080"}},
		{0, `{"scope":18080}`, []string{"198.51.100.1:40001", "198.51.100.2:18080", "198.51.100.3:18080"}},
		{18080, `{"scope":28081}`, []string{"127.0.0.1:40005"}},
		{18080, `{"incoming":true}`, []string{"198.51.100.1:40001"}},
		{0, `{"scope":7}`, nil},
	} {
		b, err := gathered(GetConnections(&stillness{snap: aNode()}, ConnectionsOptions{Scope: test.scope}))(t.Context(), json.RawMessage(test.params), nil)
		if err != nil {
			t.Errorf("scope %d, %s: %v", test.scope, test.params, err)
			continue
		}
		var answer struct{ Connections []struct{ Address string } }
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range answer.Connections {
			got = append(got, c.Address)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("scope %d, %s (-want +got):\n%s", test.scope, test.params, diff)
		}
	}
}
