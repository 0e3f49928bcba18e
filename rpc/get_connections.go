package rpc

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// Collector is where snapshots come from: a *collector.Collector, or a test's own. Its method is that one's Snapshot.
type Collector interface {
	Snapshot(ctx context.Context, want collector.Want) (snap *model.Snapshot, release func(), err error)
}

// ConnectionsOptions are what get_connections answers with where the call does not say.
type ConnectionsOptions struct {
	// Height is every record's height, in blocks: a placeholder.
	Height uint64
	// Scope is the port of the node whose connections are meant, 0: the whole host's.
	Scope uint16
}

// GetConnections returns monerod's method get_connections: a record for each connection of a fresh snapshot. The
// parameters are an extension, see docs/get_connections.md.
//
// It differs from monerod in that "connections" is [] and not left out where there are none.
func GetConnections(c Collector, o ConnectionsOptions) Handler {
	return func(ctx context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		p, err := parseConnectionsParams(params)
		if err != nil {
			return dst, err
		}
		if p.scope == 0 {
			p.scope = o.Scope
		}
		snap, scope, release, err := snapshotOfScope(ctx, c, p.scope, collector.Want{Owners: p.extended || p.filter.NeedsOwners()})
		if err != nil {
			return dst, err
		}
		defer release()
		return appendConnections(dst, snap, &scope, &p, o.Height), nil
	}
}

func appendConnections(dst []byte, snap *model.Snapshot, scope *model.Scope, p *connectionsParams, height uint64) []byte {
	start := len(dst)
	dst = append(dst, `{"connections":[`...)
	count := 0
	for i := range snap.Sockets {
		dst = reserve(dst, len(dst)-start, i, len(snap.Sockets))
		if !p.filter.Match(snap, i) || p.scope != 0 && !scope.Match(snap, i) {
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

// reserve makes room in dst where it runs out: for the rest of an answer as the part that is written foretells it, but
// for no more than three times that part. append by itself adds a quarter each time, and so copies an answer of many
// megabytes four times over.
func reserve(dst []byte, written, done, all int) []byte {
	const record = 2 << 10 // more than any record has
	if cap(dst)-len(dst) >= record {
		return dst
	}
	rest := written / max(done, 1) * (all - done)
	return slices.Grow(dst, record+min(rest+rest/16, 3*written))
}
