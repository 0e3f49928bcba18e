//go:build linux

package churn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// query is something that the daemon is asked.
type query struct {
	name string
	path string
	call string // the body of a POST; "" is a GET
	read func([]byte) ([]record, error)
	// remoteOnly: the answer has no local addresses, and so no sockets to tell
	// apart.
	remoteOnly bool
	// established: it has what is in ESTABLISHED alone.
	established bool
	// selects reports whether the answer is to have an end.
	selects func(*end) bool
}

func everything(*end) bool { return true }

// queries are those that are asked in turn. to is where one of the holders
// listens, of which all families and manners are to be seen.
func queries(to targets) []*query {
	port := to.Churn[len(to.Churn)-1].Address.Port()
	return []*query{
		{
			name: "get_connections", path: "/json_rpc", call: `{"jsonrpc":"2.0","id":"0","method":"get_connections"}`,
			read: readCall, remoteOnly: true, selects: everything,
		},
		{
			name: "get_connections, extended", path: "/get_connections?extended=true",
			read: readBare, selects: everything,
		},
		{
			name: "/api/connections", path: "/api/connections",
			read: readFlows, established: true, selects: everything,
		},
		{
			name: "/api/connections, extended", path: "/api/connections?extended=true",
			read: readFlows, established: true, selects: everything,
		},
		{
			name: "get_connections of a port", path: fmt.Sprintf("/get_connections?extended=true&incoming=true&local_port=%d", port),
			read: readBare, selects: func(e *end) bool { return !e.opener && e.local.Port() == port },
		},
		{
			name: "get_connections in ESTABLISHED", path: "/get_connections?extended=true&states=ESTABLISHED",
			read: readBare, established: true, selects: everything,
		},
		{
			name: "/api/connections of a process", path: "/api/connections?" + url.Values{"pid": {strconv.Itoa(int(to.PID))}}.Encode(),
			read: readFlows, established: true, selects: func(e *end) bool { return e.holder != nil && e.holder.pid == to.PID },
		},
	}
}

// readCall reads the answer to a call of JSON-RPC.
func readCall(b []byte) ([]record, error) {
	var whole struct {
		Result connections
		Error  json.RawMessage
	}
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	if whole.Error != nil {
		return nil, fmt.Errorf("error %s", whole.Error)
	}
	return whole.Result.records()
}

// readBare reads the answer of /get_connections.
func readBare(b []byte) ([]record, error) {
	var result connections
	if err := json.Unmarshal(b, &result); err != nil {
		return nil, err
	}
	return result.records()
}

// detail is the member socket.
type detail struct {
	LocalAddress string `json:"local_address"`
	State        string `json:"tcp_state"`
	PID          int32  `json:"pid"`
	Name         string `json:"process_name"`
	Cookie       uint64 `json:"cookie"`
}

// connections is the result of get_connections.
type connections struct {
	Status      string
	Connections []struct {
		Address  string
		ID       string `json:"connection_id"`
		Incoming bool
		Socket   *detail
	}
}

func (result *connections) records() ([]record, error) {
	if result.Status != "OK" {
		return nil, fmt.Errorf("status %q", result.Status)
	}
	records := make([]record, len(result.Connections))
	for i := range result.Connections {
		c, r := &result.Connections[i], &records[i]
		var err error
		if r.remote, err = netip.ParseAddrPort(c.Address); err != nil {
			return nil, err
		}
		r.incoming, r.id = &c.Incoming, c.ID
		if c.Socket == nil {
			continue
		}
		if r.local, err = netip.ParseAddrPort(c.Socket.LocalAddress); err != nil {
			return nil, err
		}
		r.pid, r.name, r.state, r.cookie = c.Socket.PID, c.Socket.Name, c.Socket.State, c.Socket.Cookie
	}
	return records, nil
}

// readFlows reads the answer of GET /api/connections.
func readFlows(b []byte) ([]record, error) {
	var result struct {
		Connections []struct {
			PID  int32  `json:"fromPid"`
			Name string `json:"fromProcessName"`

			FromAddress, ToAddress string
			FromPort, ToPort       uint16

			Socket *detail
		}
	}
	if err := json.Unmarshal(b, &result); err != nil {
		return nil, err
	}
	records := make([]record, len(result.Connections))
	for i := range result.Connections {
		c, r := &result.Connections[i], &records[i]
		from, err := netip.ParseAddr(c.FromAddress)
		if err != nil {
			return nil, err
		}
		to, err := netip.ParseAddr(c.ToAddress)
		if err != nil {
			return nil, err
		}
		r.ends = ends{netip.AddrPortFrom(from, c.FromPort), netip.AddrPortFrom(to, c.ToPort)}
		r.pid, r.name, r.state = c.PID, c.Name, "ESTABLISHED"
		if d := c.Socket; d != nil {
			r.state, r.cookie = d.State, d.Cookie
			if d.PID != r.pid || strings.TrimSpace(d.Name) != r.name {
				return nil, fmt.Errorf("a flow of process %d, %s, whose socket is of process %d, %s", r.pid, r.name, d.PID, d.Name)
			}
		}
	}
	return records, nil
}
