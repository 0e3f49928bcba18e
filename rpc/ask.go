package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// CheckConnectionsParams returns the error that get_connections would answer params with, nil if it takes them. It is for
// who wants to know before there is anybody to ask.
func CheckConnectionsParams(params json.RawMessage) error {
	_, err := parseConnectionsParams(params)
	return err
}

// APIConnections returns what answers GET /api/connections, for who asks within this process: its params are those of
// get_connections, and its errors tell what went wrong, which the answer by HTTP leaves to the log.
func APIConnections(c Collector, services *service.Table) StreamHandler {
	h := &restConnections{collector: c, services: services}
	return func(ctx context.Context, params json.RawMessage, out *Reply) error {
		p, err := parseConnectionsParams(params)
		if err != nil {
			return err
		}
		if p.filter.States == 0 {
			p.filter.States = model.States(model.Established)
		}
		return h.answer(ctx, string(params), &p, out)
	}
}

// ConnectionRecords returns what get_connections would answer params with, extended and as records: for who asks within this
// process and wants no JSON, which takes most of the time where there are many.
func ConnectionRecords(ctx context.Context, c Collector, params json.RawMessage) ([]model.Connection, error) {
	p, err := parseConnectionsParams(params)
	if err != nil {
		return nil, err
	}
	following, scope, err := followScope(ctx, c, p.scope, collector.Want{Owners: true, Containers: true}, &p.filter)
	if err != nil {
		return nil, err
	}
	defer following.Close()
	snap, err := following.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	var records []model.Connection
	for i := range snap.Sockets {
		if !p.filter.Match(snap, i) || p.scope != 0 && !scope.Match(snap, i) {
			continue
		}
		record, detail := snap.Connection(i), snap.Detail(i)
		if detail.Container != nil { // which is the snapshot's, and so given back with it
			container := *detail.Container
			detail.Container = &container
		}
		record.Socket = &detail
		if records = append(records, record); len(records) == p.limit {
			break
		}
	}
	return records, nil
}
