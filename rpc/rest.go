package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// restConnections is GET /api/connections.
type restConnections struct {
	collector Collector
	services  *service.Table
	scope     uint16
	buffers   *buffers
	log       zerolog.Logger
}

// RESTConnections returns the handler of GET /api/connections: the listeners and the established connections of one
// fresh snapshot, with their owners, containers and services; unless scope is 0 only those of the node that listens on
// that port. log gets the reason of a 500, which the client is not told.
func RESTConnections(c Collector, services *service.Table, scope uint16, log zerolog.Logger) http.Handler {
	return &restConnections{collector: c, services: services, scope: scope, buffers: new(buffers), log: log}
}

func (h *restConnections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := restParams(r.URL.RawQuery)
	if err != nil {
		restFace.writeStatus(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	if p.scope == 0 {
		p.scope = h.scope
	}
	buf := h.buffers.get()
	reply := newReply(w, r, *buf)
	if err := h.answer(r.Context(), r.URL.RawQuery, &p, reply); err != nil {
		event := h.log.Error()
		if r.Context().Err() != nil || reply.sent {
			event = h.log.Debug() // the client left
		}
		event.Str("path", r.URL.Path).Err(err).Msg("request failed")
		if reply.sent {
			reply.abort()
		}
		restFace.writeStatus(w, http.StatusInternalServerError, "Failed to get connections", "")
	} else {
		reply.end(w, http.StatusOK)
	}
	h.buffers.put(buf, reply.Buf)
}

// restParams reads the query string, whose parameters are those of get_connections. Its error is for the client.
func restParams(raw string) (p connectionsParams, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return p, fmt.Errorf("the query string cannot be read: %w", err)
	}
	params, err := ConnectionsQuery(query)
	if err == nil {
		p, err = parseConnectionsParams(params)
	}
	if err != nil {
		return p, errors.New(reasonOf(err))
	}
	if p.filter.States == 0 {
		p.filter.States = model.States(model.Established)
	}
	return p, nil
}

// answer writes the answer to the query string that p is of. A snapshot is held no longer than the last of it is written to the Reply; of an answer that is
// not long that is before the first byte is sent.
func (h *restConnections) answer(ctx context.Context, query string, p *connectionsParams, out *Reply) error {
	want := collector.Want{Owners: true, ListenerOwners: p.filter.NeedsOwners(), Containers: true, Listeners: true, NoInfo: !p.extended}
	// Which states are meant is not worth a dump of its own: nearly all sockets are established, as a rule.
	var filter *model.Filter
	if len(p.filter.LocalPorts)+len(p.filter.RemotePorts)+len(p.filter.RemoteAddresses) > 0 {
		filter = &p.filter
	}
	following, scope, err := followScope(ctx, h.collector, p.scope, want, filter)
	if err != nil {
		return err
	}
	defer following.Close()
	defer noteTimes(ctx, following)
	defer out.cutOff(following.Evicted())()
	snap, err := following.All(ctx)
	if err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	var shared *sharedAnswer
	if p.limit == 0 {
		shared = sharedAnswerOf(following, "/api/connections "+query)
	}
	return h.write(out, snap, &scope, p, shared)
}

func (h *restConnections) write(out *Reply, snap *model.Snapshot, scope *model.Scope, p *connectionsParams, shared *sharedAnswer) error {
	services := newListening(snap, h.services)
	ends := newLocalEnds(snap)
	out.Buf = append(out.Buf, `{"listeners":[`...)
	count := 0
	for i := range snap.Sockets {
		if snap.Sockets[i].State != model.Listen {
			continue
		}
		known := services.at(i)
		ends.listens(&snap.Sockets[i], known.Label)
		if count == p.limit && p.limit > 0 || !p.filter.MatchListener(snap, i) || p.scope != 0 && !scope.MatchListener(snap, i) {
			continue
		}
		if count++; count > 1 {
			out.Buf = append(out.Buf, ',')
		}
		record := listenerRecord(snap, i, known)
		if p.extended {
			detail := snap.Detail(i)
			record.Socket = &detail
		}
		out.Buf = record.AppendJSON(out.Buf)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	out.Buf = append(out.Buf, `],"connections":[`...)
	flows := flowsWriter{snap: snap, scope: scope, p: p, ends: ends, services: h.services}
	w := recordsWriter{limit: p.limit, shared: shared}
	if err := w.write(out, len(snap.Sockets), true, &flows); err != nil {
		return err
	}
	out.Buf = append(out.Buf, `]}`...)
	return nil
}

func listenerRecord(snap *model.Snapshot, i int, known service.Service) model.Listener {
	end := snap.Local(i)
	l := model.Listener{
		ServiceLabel:       known.Label,
		ProcessIconType:    known.Icon,
		Address:            end.Addr(),
		AddressDescription: snap.DescribeBind(i),
		Port:               end.Port(),
		NetNS:              snap.NetNSLabel(i),
	}
	if owner := snap.Owner(i); owner != nil {
		l.PID, l.ProcessName, l.Command = owner.PID, owner.Name, owner.Command
	}
	if container := snap.Container(i); container != nil {
		l.ContainerName = container.Shown()
	}
	return l
}

// flowsWriter makes the records of connections.
type flowsWriter struct {
	snap     *model.Snapshot
	scope    *model.Scope
	p        *connectionsParams
	ends     *localEnds
	services *service.Table
}

func (w *flowsWriter) appendRecord(buf []byte, i int) ([]byte, bool) {
	if !w.p.filter.Match(w.snap, i) || w.p.scope != 0 && !w.scope.Match(w.snap, i) {
		return buf, false
	}
	record := w.record(i)
	if w.p.extended {
		detail := w.snap.Detail(i)
		record.Socket = &detail
	}
	return record.AppendJSON(buf), true
}

func (w *flowsWriter) record(i int) model.Flow {
	snap := w.snap
	f := model.Flow{From: snap.Local(i), To: snap.Remote(i), NetNS: snap.NetNSLabel(i)}
	if owner := snap.Owner(i); owner != nil {
		f.FromPID, f.FromProcessName = owner.PID, owner.Name
	}
	f.ToLabel = w.ends.label(&snap.Sockets[i])
	if f.ToLabel == "" && !snap.Known[i].Incoming { // the port of a client says nothing
		known, _ := w.services.Port(f.To.Port())
		f.ToLabel = known.Label
	}
	return f
}
