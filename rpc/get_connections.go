package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// Collector is where snapshots come from: a *collector.Collector, or a test's own. Its method is that one's.
type Collector interface {
	Follow(want collector.Want, filter *model.Filter) (*collector.Following, error)
}

// ConnectionsOptions are what get_connections answers with where the call does not say.
type ConnectionsOptions struct {
	// Height is every record's height, in blocks: a placeholder.
	Height uint64
	// Scope is the port of the node whose connections are meant, 0: the whole host's.
	Scope uint16
}

// GetConnections returns monerod's method get_connections: a record for each connection of a fresh snapshot. The
// parameters are an extension, see docs/get_connections.md. Records that need nothing but the kernel's dump leave while it
// goes on.
//
// It differs from monerod in that "connections" is [] and not left out where there are none.
func GetConnections(c Collector, o ConnectionsOptions) StreamHandler {
	return func(ctx context.Context, params json.RawMessage, out *Reply) error {
		p, err := parseConnectionsParams(params)
		if err != nil {
			return err
		}
		if p.scope == 0 {
			p.scope = o.Scope
		}
		want := collector.Want{Owners: p.extended || p.filter.NeedsOwners(), Containers: p.extended}
		following, scope, err := followScope(ctx, c, p.scope, want, &p.filter)
		if err != nil {
			return err
		}
		defer following.Close()
		defer noteTimes(ctx, following)
		defer out.cutOff(following.Evicted())()
		out.Buf = append(out.Buf, `{"connections":[`...)
		w := connectionsWriter{records: recordsWriter{limit: p.limit}, p: &p, scope: &scope, height: o.Height}
		for ended := false; !ended && !w.records.full(); {
			var snap *model.Snapshot
			if snap, ended, err = following.Next(ctx); err != nil {
				return fmt.Errorf("take a snapshot: %w", err)
			}
			if w.records.next == 0 && p.limit == 0 {
				w.records.shared = sharedAnswerOf(following, "get_connections "+string(params))
			}
			if err := w.write(out, snap, ended); err != nil {
				return err
			}
		}
		out.Buf = append(out.Buf, `],"status":"OK","untrusted":false}`...)
		return nil
	}
}

// connectionsWriter writes the records of get_connections.
type connectionsWriter struct {
	records recordsWriter
	p       *connectionsParams
	scope   *model.Scope
	height  uint64
	snap    *model.Snapshot
}

// write writes the records of the sockets of snap that it has not come to yet. Unless ended, snap will have more.
func (w *connectionsWriter) write(out *Reply, snap *model.Snapshot, ended bool) error {
	w.snap = snap
	return w.records.write(out, len(snap.Sockets), ended, w)
}

func (w *connectionsWriter) appendRecord(buf []byte, i int) ([]byte, bool) {
	if !w.p.filter.Match(w.snap, i) || w.p.scope != 0 && !w.scope.Match(w.snap, i) {
		return buf, false
	}
	connection := w.snap.Connection(i)
	connection.Height = w.height
	if w.p.extended {
		detail := w.snap.Detail(i)
		connection.Socket = &detail
	}
	return connection.AppendJSON(buf), true
}
