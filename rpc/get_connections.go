package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// Collector is where snapshots come from: a *collector.Collector, or a test's own. Its method is that one's Snapshot.
type Collector interface {
	Snapshot(ctx context.Context, want collector.Want) (snap *model.Snapshot, release func(), err error)
}

// GetConnections returns monerod's method get_connections: a record for each connection of a fresh snapshot, with
// height as every record's height. The parameters are an extension, see docs/get_connections.md.
//
// It differs from monerod in that "connections" is [] and not left out where there are none.
func GetConnections(c Collector, height uint64) Handler {
	return func(ctx context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		p, err := parseConnectionsParams(params)
		if err != nil {
			return dst, err
		}
		snap, release, err := c.Snapshot(ctx, collector.Want{Owners: p.extended || p.filter.NeedsOwners()})
		if err != nil {
			return dst, fmt.Errorf("take a snapshot: %w", err)
		}
		defer release()
		return appendConnections(dst, snap, &p, height), nil
	}
}

func appendConnections(dst []byte, snap *model.Snapshot, p *connectionsParams, height uint64) []byte {
	dst = append(dst, `{"connections":[`...)
	count := 0
	for i := range snap.Sockets {
		if !p.filter.Match(snap, i) {
			continue
		}
		if count++; count > 1 {
			dst = append(dst, ',')
		}
		connection := snap.Connection(i)
		connection.Height = height
		if p.extended {
			detail := snap.Detail(i)
			connection.Socket = &detail
		}
		dst = connection.AppendJSON(dst)
		if count == p.limit {
			break
		}
	}
	return append(dst, `],"status":"OK","untrusted":false}`...)
}
