//go:build linux && interop

package interop_test

import (
	"encoding/json"
	"testing"
)

// What get_info and get_net_stats tell of connections is the node's.
func testCompanions(t *testing.T, nodes map[string]*monerod, daemons map[int]*client) {
	type info struct {
		Incoming  int   `json:"incoming_connections_count"`
		Outgoing  int   `json:"outgoing_connections_count"`
		RPC       int   `json:"rpc_connections_count"`
		StartTime int64 `json:"start_time"`
	}
	type stats struct {
		StartTime int64  `json:"start_time"`
		BytesIn   uint64 `json:"total_bytes_in"`
		BytesOut  uint64 `json:"total_bytes_out"`
	}
	for name, node := range nodes {
		t.Run(name, func(t *testing.T) {
			c := daemons[node.p2pPort]
			ask := func(*monerod) ([]record, error) { return c.connections("{}") }
			_, records := atRest(t, node, ask)
			var theirs, ours info
			decode(t, must[json.RawMessage](t)(node.call("get_info", "{}")), &theirs)
			decode(t, must[json.RawMessage](t)(c.call("get_info", "{}")), &ours)
			if ours.Incoming != theirs.Incoming || ours.Outgoing != theirs.Outgoing || ours.RPC != theirs.RPC {
				t.Errorf("get_info: %d incoming, %d outgoing, %d RPC connections, monerod has %d, %d, %d",
					ours.Incoming, ours.Outgoing, ours.RPC, theirs.Incoming, theirs.Outgoing, theirs.RPC)
			}
			// monerod's is when it was done with loading.
			if ours.StartTime > theirs.StartTime+1 || ours.StartTime < theirs.StartTime-60 {
				t.Errorf("get_info: start_time %d, monerod has %d", ours.StartTime, theirs.StartTime)
			}

			var theirStats, ourStats stats
			decode(t, must[[]byte](t)(node.post("/get_net_stats", "")), &theirStats)
			decode(t, must[[]byte](t)(c.post("/get_net_stats", "")), &ourStats)
			var in, out uint64
			for _, r := range records {
				received, _ := r.number("recv_count")
				sent, _ := r.number("send_count")
				in, out = in+uint64(received), out+uint64(sent)
			}
			if ourStats.BytesIn != in || ourStats.BytesOut != out || ourStats.StartTime != ours.StartTime {
				t.Errorf("get_net_stats: %+v, want %d bytes in, %d out, as the records have, and start_time %d",
					ourStats, in, out, ours.StartTime)
			}
			// monerod also counts the connections that are no more.
			if theirStats.BytesIn < in || theirStats.BytesOut < out {
				t.Errorf("get_net_stats: monerod has %d bytes in, %d out, which is less than %d, %d", theirStats.BytesIn, theirStats.BytesOut, in, out)
			}
		})
	}
}
