package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// monerodRPCVersion is CORE_RPC_VERSION of the monerod whose answers these are, 3.10 as major<<16 | minor.
const monerodRPCVersion = 3<<16 | 10

// Node answers the methods that Monero clients call beside get_connections. What a host can know is true, and of the
// scope if there is one; the rest are the placeholders of docs/monero.md: a chain of height blocks without a network.
type Node struct {
	Collector Collector
	// Scope is the port of the node whose connections count, 0: the whole host's.
	Scope uint16
	// Height is the placeholder for the chain's height.
	Height uint64
	// Version is this program's, for get_info.
	Version string
	// RPCPort is the port of this daemon: without a scope its clients are the RPC connections.
	RPCPort uint16
	// Started is when this daemon was started.
	Started time.Time
	// ProcessStart tells when a process was started.
	ProcessStart func(pid int32) (time.Time, error)
	// Now is the wall clock.
	Now func() time.Time
}

// GetVersion is monerod's method get_version.
func (n *Node) GetVersion(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
	return appendJSON(dst, struct {
		Release   bool   `json:"release"`
		Status    string `json:"status"`
		Untrusted bool   `json:"untrusted"`
		Version   uint32 `json:"version"`
	}{Status: "OK", Version: monerodRPCVersion})
}

// GetNetStats is monerod's /get_net_stats. The bytes are the payload of the connections that are there now; packets,
// messages of Monero's own protocol, are not known: 0.
func (n *Node) GetNetStats(ctx context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
	c, err := n.count(ctx)
	if err != nil {
		return dst, err
	}
	return appendJSON(dst, struct {
		StartTime       int64  `json:"start_time"`
		Status          string `json:"status"`
		TotalBytesIn    uint64 `json:"total_bytes_in"`
		TotalBytesOut   uint64 `json:"total_bytes_out"`
		TotalPacketsIn  uint64 `json:"total_packets_in"`
		TotalPacketsOut uint64 `json:"total_packets_out"`
		Untrusted       bool   `json:"untrusted"`
	}{StartTime: c.started.Unix(), Status: "OK", TotalBytesIn: c.bytesIn, TotalBytesOut: c.bytesOut})
}

// GetInfo is monerod's get_info.
func (n *Node) GetInfo(ctx context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
	c, err := n.count(ctx)
	if err != nil {
		return dst, err
	}
	return appendJSON(dst, info{
		AdjustedTime:             n.Now().Unix(),
		Height:                   n.Height,
		HeightWithoutBootstrap:   n.Height,
		IncomingConnectionsCount: c.incoming,
		NetType:                  "fakechain",
		OutgoingConnectionsCount: c.outgoing,
		RPCConnectionsCount:      c.rpc,
		StartTime:                c.started.Unix(),
		Status:                   "OK",
		Target:                   120,
		TopBlockHash:             zeroHash,
		Version:                  n.Version,
		WideCumulativeDifficulty: "0x0",
		WideDifficulty:           "0x0",
	})
}

const zeroHash = "0000000000000000000000000000000000000000000000000000000000000000"

// info is the answer of monerod 0.18's get_info, its members in alphabetical order.
type info struct {
	AdjustedTime              int64  `json:"adjusted_time"`
	AltBlocksCount            uint64 `json:"alt_blocks_count"`
	BlockSizeLimit            uint64 `json:"block_size_limit"`
	BlockSizeMedian           uint64 `json:"block_size_median"`
	BlockWeightLimit          uint64 `json:"block_weight_limit"`
	BlockWeightMedian         uint64 `json:"block_weight_median"`
	BootstrapDaemonAddress    string `json:"bootstrap_daemon_address"`
	BusySyncing               bool   `json:"busy_syncing"`
	Credits                   uint64 `json:"credits"`
	CumulativeDifficulty      uint64 `json:"cumulative_difficulty"`
	CumulativeDifficultyTop64 uint64 `json:"cumulative_difficulty_top64"`
	DatabaseSize              uint64 `json:"database_size"`
	Difficulty                uint64 `json:"difficulty"`
	DifficultyTop64           uint64 `json:"difficulty_top64"`
	FreeSpace                 uint64 `json:"free_space"`
	GreyPeerlistSize          uint64 `json:"grey_peerlist_size"`
	Height                    uint64 `json:"height"`
	HeightWithoutBootstrap    uint64 `json:"height_without_bootstrap"`
	IncomingConnectionsCount  uint64 `json:"incoming_connections_count"`
	Mainnet                   bool   `json:"mainnet"`
	NetType                   string `json:"nettype"`
	Offline                   bool   `json:"offline"`
	OutgoingConnectionsCount  uint64 `json:"outgoing_connections_count"`
	Restricted                bool   `json:"restricted"`
	RPCConnectionsCount       uint64 `json:"rpc_connections_count"`
	Stagenet                  bool   `json:"stagenet"`
	StartTime                 int64  `json:"start_time"`
	Status                    string `json:"status"`
	Synchronized              bool   `json:"synchronized"`
	Target                    uint64 `json:"target"`
	TargetHeight              uint64 `json:"target_height"`
	Testnet                   bool   `json:"testnet"`
	TopBlockHash              string `json:"top_block_hash"`
	TopHash                   string `json:"top_hash"`
	TxCount                   uint64 `json:"tx_count"`
	TxPoolSize                uint64 `json:"tx_pool_size"`
	Untrusted                 bool   `json:"untrusted"`
	UpdateAvailable           bool   `json:"update_available"`
	Version                   string `json:"version"`
	WasBootstrapEverUsed      bool   `json:"was_bootstrap_ever_used"`
	WhitePeerlistSize         uint64 `json:"white_peerlist_size"`
	WideCumulativeDifficulty  string `json:"wide_cumulative_difficulty"`
	WideDifficulty            string `json:"wide_difficulty"`
}

// counts are what the host knows of a node.
type counts struct {
	incoming, outgoing, rpc uint64
	bytesIn, bytesOut       uint64
	started                 time.Time
}

func (n *Node) count(ctx context.Context) (c counts, err error) {
	following, scope, err := followScope(ctx, n.Collector, n.Scope, collector.Want{}, nil)
	if err != nil {
		return c, err
	}
	defer following.Close()
	snap, err := following.All(ctx)
	if err != nil {
		return c, fmt.Errorf("take a snapshot: %w", err)
	}
	c.started = n.Started
	isCounted := func(snap *model.Snapshot, i int) bool { return snap.Sockets[i].State.IsConnection() }
	isRPC := n.isClient
	if n.Scope != 0 {
		isCounted, isRPC = scope.Match, scope.MatchRPC
		c.started = n.nodeStart(snap, scope)
	}
	for i := range snap.Sockets {
		switch s := &snap.Sockets[i]; {
		case isRPC(snap, i):
			c.rpc++
		case isCounted(snap, i):
			c.bytesIn += s.RecvCount()
			c.bytesOut += s.SendCount()
			if snap.Known[i].Incoming {
				c.incoming++
			} else {
				c.outgoing++
			}
		}
	}
	return c, nil
}

// isClient reports whether the socket at index i of snap is this daemon's end of a client's connection.
func (n *Node) isClient(snap *model.Snapshot, i int) bool {
	s := &snap.Sockets[i]
	return s.State.IsConnection() && s.LocalPort == n.RPCPort && s.NetNS == snap.NetNS && snap.Known[i].Incoming
}

// nodeStart is when the scope's first process was started, or this daemon if nobody listens there now.
func (n *Node) nodeStart(snap *model.Snapshot, scope model.Scope) time.Time {
	var first time.Time
	for _, owner := range scope.Owners {
		// A process that has left since the snapshot tells nothing.
		if start, err := n.ProcessStart(snap.Owners[owner].PID); err == nil && (first.IsZero() || start.Before(first)) {
			first = start
		}
	}
	if first.IsZero() {
		return n.Started
	}
	return first
}

// appendJSON appends v as encoding/json says it. It is for answers of one small object.
func appendJSON(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return dst, fmt.Errorf("encode the answer: %w", err)
	}
	return append(dst, b...), nil
}
