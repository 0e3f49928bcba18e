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
		defer out.cutOff(following.Evicted())()
		w := connectionsWriter{p: &p, scope: &scope, height: o.Height}
		w.begin(out)
		for ended := false; !ended && !w.full(); {
			var snap *model.Snapshot
			if snap, ended, err = following.Next(ctx); err != nil {
				return fmt.Errorf("take a snapshot: %w", err)
			}
			if err := w.write(out, snap); err != nil {
				return err
			}
		}
		w.end(out)
		return nil
	}
}

// connectionsWriter writes the result of get_connections.
type connectionsWriter struct {
	p      *connectionsParams
	scope  *model.Scope
	height uint64

	next  int // index of the next socket
	count int // of the records
}

func (w *connectionsWriter) begin(out *Reply) { out.Buf = append(out.Buf, `{"connections":[`...) }

func (w *connectionsWriter) full() bool { return w.p.limit > 0 && w.count == w.p.limit }

// write writes the records of the sockets of snap that it has not seen yet.
func (w *connectionsWriter) write(out *Reply, snap *model.Snapshot) error {
	for ; w.next < len(snap.Sockets) && !w.full(); w.next++ {
		i := w.next
		if !w.p.filter.Match(snap, i) || w.p.scope != 0 && !w.scope.Match(snap, i) {
			continue
		}
		if w.count++; w.count > 1 {
			out.Buf = append(out.Buf, ',')
		}
		connection := snap.Connection(i)
		connection.Height = w.height
		if w.p.extended {
			detail := snap.Detail(i)
			connection.Socket = &detail
		}
		out.Buf = connection.AppendJSON(out.Buf)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (w *connectionsWriter) end(out *Reply) {
	out.Buf = append(out.Buf, `],"status":"OK","untrusted":false}`...)
}
