package rpc

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"

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
	self      int32 // the number of this process
	buffers   *buffers
	log       zerolog.Logger
}

// RESTConnections returns the handler of GET /api/connections: the listeners and the established connections of one
// fresh snapshot, with their owners; unless scope is 0 only those of the node that listens on that port. log gets the
// reason of a 500, which the client is not told.
func RESTConnections(c Collector, services *service.Table, scope uint16, log zerolog.Logger) http.Handler {
	return &restConnections{collector: c, services: services, scope: scope, self: int32(os.Getpid()), buffers: new(buffers), log: log}
}

func (h *restConnections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		restFace.writeStatus(w, http.StatusBadRequest, "the query string cannot be read: "+err.Error(), "")
		return
	}
	if len(query) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(query)))
		restFace.writeStatus(w, http.StatusBadRequest, named(name)+": no such parameter, want none", "")
		return
	}
	buf := h.buffers.get()
	body, err := h.answer(r.Context(), *buf)
	if err != nil {
		event := h.log.Error()
		if r.Context().Err() != nil {
			event = h.log.Debug() // the client left
		}
		event.Str("path", r.URL.Path).Err(err).Msg("request failed")
		restFace.writeStatus(w, http.StatusInternalServerError, "Failed to get connections", "")
	} else {
		writeJSON(w, http.StatusOK, body)
	}
	h.buffers.put(buf, body)
}

// answer appends the answer to dst. It has released the snapshot when it returns, so that a client that reads slowly
// holds none.
func (h *restConnections) answer(ctx context.Context, dst []byte) ([]byte, error) {
	snap, scope, release, err := snapshotOfScope(ctx, h.collector, h.scope, collector.Want{Owners: true})
	if err != nil {
		return dst, err
	}
	defer release()
	return h.appendAnswer(dst, snap, &scope), nil
}

func (h *restConnections) appendAnswer(dst []byte, snap *model.Snapshot, scope *model.Scope) []byte {
	start := len(dst)
	ends := newLocalEnds(snap)
	dst = append(dst, `{"listeners":[`...)
	first := true
	for i := range snap.Sockets {
		if snap.Sockets[i].State != model.Listen {
			continue
		}
		listener := h.listener(snap, i)
		ends.listens(&snap.Sockets[i], listener.ServiceLabel)
		if h.scope != 0 && !scope.MatchListener(snap, i) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = listener.AppendJSON(dst)
	}
	dst = append(dst, `],"connections":[`...)
	first = true
	for i := range snap.Sockets {
		if snap.Sockets[i].State != model.Established || h.scope != 0 && !scope.Match(snap, i) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = reserve(dst, len(dst)-start, i, len(snap.Sockets))
		flow := h.flow(snap, i, ends)
		dst = flow.AppendJSON(dst)
	}
	return append(dst, `]}`...)
}

func (h *restConnections) listener(snap *model.Snapshot, i int) model.Listener {
	s := &snap.Sockets[i]
	end := snap.Local(i)
	l := model.Listener{
		Address:            end.Addr(),
		AddressDescription: model.DescribeBind(end.Addr(), s.V6Only),
		Port:               end.Port(),
		NetNS:              snap.NetNSLabel(i),
	}
	if owner := snap.Owner(i); owner != nil {
		l.PID, l.ProcessName = owner.PID, owner.Name
	}
	program := l.ProcessName
	if l.PID == h.self {
		program = "connectionsd" // whatever its file is called
	}
	known := h.services.Listening(program, l.Port)
	l.ServiceLabel, l.ProcessIconType = known.Label, known.Icon
	return l
}

func (h *restConnections) flow(snap *model.Snapshot, i int, ends *localEnds) model.Flow {
	f := model.Flow{From: snap.Local(i), To: snap.Remote(i), NetNS: snap.NetNSLabel(i)}
	if owner := snap.Owner(i); owner != nil {
		f.FromPID, f.FromProcessName = owner.PID, owner.Name
	}
	f.ToLabel = ends.label(&snap.Sockets[i])
	if f.ToLabel == "" {
		known, _ := h.services.Port(f.To.Port())
		f.ToLabel = known.Label
	}
	return f
}
