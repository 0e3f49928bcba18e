package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// owned is a socket and the process that holds it, the zero Owner if none is known.
type owned struct {
	model.Socket
	owner model.Owner
}

func listener(local string, pid int32, name string) owned {
	remote := "0.0.0.0:0"
	if strings.HasPrefix(local, "[") {
		remote = "[::]:0"
	}
	return owned{socketOf(model.Listen, local, remote), ownerOf(pid, name)}
}

// ownerOf is a process as the collector tells of one that listens.
func ownerOf(pid int32, name string) model.Owner {
	owner := model.Owner{PID: pid, Name: name, Container: model.NoContainer}
	if name != "" {
		known := service.BuiltIn().Process(name, nil)
		owner.Label, owner.Icon = known.Label, known.Icon
	}
	return owner
}

// only is an IPv6 listener that takes no IPv4 connections.
func only(o owned) owned {
	o.V6Only = true
	return o
}

func flow(local, remote string, pid int32, name string) owned {
	return owned{socketOf(model.Established, local, remote), model.Owner{PID: pid, Name: name}}
}

// hostOf is the snapshot of a host with these sockets.
func hostOf(sockets ...owned) *model.Snapshot {
	snap := snapshotOf()
	for _, o := range sockets {
		known := model.Known{Owner: model.NoOwner, Container: model.NoContainer}
		if o.owner.PID != 0 {
			known.Owner = int32(len(snap.Owners))
			snap.Owners = append(snap.Owners, o.owner)
		}
		snap.Sockets, snap.Known = append(snap.Sockets, o.Socket), append(snap.Known, known)
	}
	return snap
}

// ask is what GET target brings from a handler on its own, without the headers that NewHandler adds.
func ask(h http.Handler, target string) response {
	return serve(h, httptest.NewRequest("GET", target, nil))
}

func answered(status int, body string) response {
	return response{Status: status, Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(body))},
	}}
}

func TestRESTConnections(t *testing.T) {
	for _, test := range []struct {
		name        string
		sockets     []owned
		listeners   string
		connections string
	}{
		{name: "an empty host"},
		{
			name:    "a listener with its owner",
			sockets: []owned{listener("127.0.0.1:6379", 5678, "redis-server")},
			listeners: `{"pid":5678,"processName":"redis-server","serviceLabel":"Redis","processIconType":"redis",` +
				`"address":"127.0.0.1","addressDescription":"Localhost only (IPv4)","port":6379}`,
		},
		{
			name:    "a listener whose owner is not known goes by its port",
			sockets: []owned{listener("0.0.0.0:5432", 0, "")},
			listeners: `{"processName":"unknown","serviceLabel":"PostgreSQL","processIconType":"postgres",` +
				`"address":"0.0.0.0","addressDescription":"Listening on all IPv4 interfaces","port":5432}`,
		},
		{
			name:    "a listener whose owner left before it was named goes by its port",
			sockets: []owned{listener("0.0.0.0:22", 9, "")},
			listeners: `{"pid":9,"processName":"unknown","serviceLabel":"SSH","processIconType":"ssh",` +
				`"address":"0.0.0.0","addressDescription":"Listening on all IPv4 interfaces","port":22}`,
		},
		{
			name:    "a listener of which nothing is known",
			sockets: []owned{listener("192.0.2.1:3000", 0, "")},
			listeners: `{"processName":"unknown","processIconType":"generic",` +
				`"address":"192.0.2.1","addressDescription":"Listening on 192.0.2.1 only (IPv4)","port":3000}`,
		},
		{
			name:    "a process that the table does not name is called by its name, whatever the port",
			sockets: []owned{listener("[::1]:6379", 9, `my "app"`)},
			listeners: `{"pid":9,"processName":"my \"app\"","serviceLabel":"my \"app\"","processIconType":"generic",` +
				`"address":"::1","addressDescription":"Localhost only (IPv6)","port":6379}`,
		},
		{
			name:    "dual-stack, and IPv6 only",
			sockets: []owned{listener("[::]:3000", 9, "node"), only(listener("[::]:3001", 9, "node")), only(listener("[2001:db8::1]:3002", 9, "node"))},
			listeners: `{"pid":9,"processName":"node","serviceLabel":"Node.js","processIconType":"node",` +
				`"address":"::","addressDescription":"Listening on all IPv4 and IPv6 interfaces","port":3000},` +
				`{"pid":9,"processName":"node","serviceLabel":"Node.js","processIconType":"node",` +
				`"address":"::","addressDescription":"Listening on all IPv6 interfaces","port":3001},` +
				`{"pid":9,"processName":"node","serviceLabel":"Node.js","processIconType":"node",` +
				`"address":"2001:db8::1","addressDescription":"Listening on 2001:db8::1 only (IPv6)","port":3002}`,
		},
		{
			name:    "a port that docker forwards, to where cannot be told",
			sockets: []owned{listener("0.0.0.0:5432", 9012, "docker-proxy")},
			listeners: `{"pid":9012,"processName":"docker-proxy","serviceLabel":"Docker","processIconType":"docker",` +
				`"address":"0.0.0.0","addressDescription":"Listening on all IPv4 interfaces","port":5432}`,
		},
		{
			name: "a connection with its owner and one without",
			sockets: []owned{
				flow("192.0.2.1:45678", "198.51.100.1:443", 1234, "node"),
				flow("[2001:db8::1]:18080", "[2001:db8::2]:50000", 0, ""),
				flow("[::ffff:192.0.2.1]:45678", "[::ffff:198.51.100.1]:5000", 1234, ""),
			},
			connections: `{"fromPid":1234,"fromProcessName":"node","fromAddress":"192.0.2.1","fromPort":45678,"toAddress":"198.51.100.1","toPort":443,"toLabel":"HTTPS"},` +
				`{"fromAddress":"2001:db8::1","fromPort":18080,"toAddress":"2001:db8::2","toPort":50000},` +
				`{"fromPid":1234,"fromAddress":"192.0.2.1","fromPort":45678,"toAddress":"198.51.100.1","toPort":5000}`,
		},
		{
			name: "only what is established is a connection",
			sockets: []owned{
				{Socket: socketOf(model.SynSent, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.SynRecv, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.FinWait1, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.FinWait2, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.TimeWait, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.Close, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.CloseWait, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.LastAck, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.Closing, "192.0.2.1:1", "198.51.100.1:2")},
				{Socket: socketOf(model.Established, "192.0.2.1:3", "198.51.100.1:4")},
			},
			connections: `{"fromAddress":"192.0.2.1","fromPort":3,"toAddress":"198.51.100.1","toPort":4}`,
		},
		{
			name: "the example of the contract",
			sockets: []owned{
				flow("127.0.0.1:45678", "127.0.0.1:6379", 1234, "node"),
				listener("0.0.0.0:3000", 1234, "node"),
				listener("127.0.0.1:6379", 5678, "redis-server"),
			},
			listeners: `{"pid":1234,"processName":"node","serviceLabel":"Node.js","processIconType":"node",` +
				`"address":"0.0.0.0","addressDescription":"Listening on all IPv4 interfaces","port":3000},` +
				`{"pid":5678,"processName":"redis-server","serviceLabel":"Redis","processIconType":"redis",` +
				`"address":"127.0.0.1","addressDescription":"Localhost only (IPv4)","port":6379}`,
			connections: `{"fromPid":1234,"fromProcessName":"node","fromAddress":"127.0.0.1","fromPort":45678,"toAddress":"127.0.0.1","toPort":6379,"toLabel":"Redis"}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &stillness{snap: hostOf(test.sockets...)}
			h := RESTConnections(c, service.BuiltIn(), 0, zerolog.Nop())
			want := answered(200, `{"listeners":[`+test.listeners+`],"connections":[`+test.connections+`]}`)
			if diff := cmp.Diff(want, ask(h, "/api/connections")); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]collector.Want{{Owners: true, Containers: true, Listeners: true, NoInfo: true}}, c.wants); diff != "" {
				t.Errorf("asked of the collector (-want +got):\n%s", diff)
			}
			if c.released != 1 {
				t.Errorf("released %d times, want once", c.released)
			}
		})
	}
}

// What a connection's far end is called: the one that listens there if it is on this host, else the port's service.
func TestToLabel(t *testing.T) {
	const (
		here4, here6   = "192.0.2.1", "[2001:db8::1]"
		there4, there6 = "198.51.100.1", "[2001:db8::2]"
	)
	for _, test := range []struct {
		name      string
		listeners []owned
		from, to  string
		label     string
	}{
		{"loopback", []owned{listener("127.0.0.1:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.1:3000", "Node.js"},
		{"loopback, IPv6", []owned{listener("[::1]:3000", 9, "node")}, "[::1]:40000", "[::1]:3000", "Node.js"},
		{"another loopback address", []owned{listener("127.0.0.1:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.2:3000", ""},
		{"one interface", []owned{listener(here4+":3000", 9, "node")}, here4 + ":40000", here4 + ":3000", "Node.js"},
		{"another family", []owned{listener("[::1]:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.1:3000", ""},
		{"another port", []owned{listener("127.0.0.1:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.1:3001", ""},

		{"all of IPv4", []owned{listener("0.0.0.0:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.2:3000", "Node.js"},
		{"all of IPv4, not by loopback", []owned{listener("0.0.0.0:3000", 9, "node")}, here4 + ":40000", here4 + ":3000", "Node.js"},
		{"all of IPv4, another host", []owned{listener("0.0.0.0:3000", 9, "node")}, here4 + ":40000", there4 + ":3000", ""},
		{"all of IPv4, IPv6 connection", []owned{listener("0.0.0.0:3000", 9, "node")}, "[::1]:40000", "[::1]:3000", ""},
		{"all of IPv4, from an IPv6 socket", []owned{listener("0.0.0.0:3000", 9, "node")}, "[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:3000", "Node.js"},

		{"all of IPv6 alone", []owned{only(listener("[::]:3000", 9, "node"))}, here6 + ":40000", here6 + ":3000", "Node.js"},
		{"all of IPv6 alone, IPv4 connection", []owned{only(listener("[::]:3000", 9, "node"))}, "127.0.0.1:40000", "127.0.0.1:3000", ""},
		{"all of IPv6 alone, another host", []owned{only(listener("[::]:3000", 9, "node"))}, here6 + ":40000", there6 + ":3000", ""},
		{"dual-stack", []owned{listener("[::]:3000", 9, "node")}, "[::1]:40000", "[::1]:3000", "Node.js"},
		{"dual-stack, IPv4 connection", []owned{listener("[::]:3000", 9, "node")}, "127.0.0.1:40000", "127.0.0.1:3000", "Node.js"},
		{"dual-stack, IPv4 connection, another host", []owned{listener("[::]:3000", 9, "node")}, here4 + ":40000", there4 + ":3000", ""},

		{
			"the nearest bind counts",
			[]owned{listener("0.0.0.0:3000", 9, "node"), listener("127.0.0.1:3000", 10, "nginx")},
			"127.0.0.1:40000", "127.0.0.1:3000", "nginx",
		},
		{
			"the nearest bind counts, in the other order",
			[]owned{listener("127.0.0.1:3000", 10, "nginx"), listener("0.0.0.0:3000", 9, "node")},
			"127.0.0.1:40000", "127.0.0.1:3000", "nginx",
		},
		{
			"IPv4's own bind counts before dual-stack",
			[]owned{listener("0.0.0.0:3000", 9, "node"), listener("[::]:3000", 10, "nginx")},
			"127.0.0.1:40000", "127.0.0.1:3000", "Node.js",
		},
		{
			"IPv4's own bind counts before dual-stack, in the other order",
			[]owned{listener("[::]:3000", 10, "nginx"), listener("0.0.0.0:3000", 9, "node")},
			"127.0.0.1:40000", "127.0.0.1:3000", "Node.js",
		},

		{"a service elsewhere", nil, here4 + ":40000", there4 + ":6379", "Redis"},
		{"a service elsewhere that is another one here", []owned{listener("0.0.0.0:6379", 9, "node")}, here4 + ":40000", there4 + ":6379", "Redis"},
		{"a service here that goes by its process", []owned{listener("0.0.0.0:6379", 9, "node")}, here4 + ":40000", here4 + ":6379", "Node.js"},
		{"a service here whose owner is not known", []owned{listener("0.0.0.0:6379", 0, "")}, here4 + ":40000", here4 + ":6379", "Redis"},
		{"nothing is known", []owned{listener("0.0.0.0:4", 0, "")}, here4 + ":40000", here4 + ":4", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The connection stands before what it leads to, as it may in a dump.
			snap := hostOf(append([]owned{flow(test.from, test.to, 0, "")}, test.listeners...)...)
			body := ask(RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()), "/").Body
			_, connections, _ := strings.Cut(body, `"connections":[`)
			_, label, labelled := strings.Cut(connections, `,"toLabel":"`)
			label = strings.TrimSuffix(label, `"}]}`)
			if label != test.label || labelled != (test.label != "") {
				t.Errorf("label %q, want %q, in %s", label, test.label, body)
			}
		})
	}
}

func TestRESTConnectionsThatFail(t *testing.T) {
	gone, leave := context.WithCancel(context.Background())
	leave()
	for _, test := range []struct {
		name  string
		ctx   context.Context
		level string
	}{
		{"the kernel does not answer", context.Background(), "error"},
		{"the client left", gone, "debug"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			c := &stillness{err: errors.New("netlink: no buffer space")}
			h := RESTConnections(c, service.BuiltIn(), 0, zerolog.New(&log))
			request := httptest.NewRequestWithContext(test.ctx, "GET", "/api/connections", nil)
			if diff := cmp.Diff(answered(500, `{"error":"Failed to get connections"}`), serve(h, request)); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			want := []map[string]any{{"level": test.level, "path": "/api/connections", "error": "take a snapshot: netlink: no buffer space", "message": "request failed"}}
			if diff := cmp.Diff(want, logLines(t, log.String())); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

// The query string has the parameters of get_connections, by the same names and rules.
func TestRESTConnectionsParameters(t *testing.T) {
	snap := hostOf(
		listener("0.0.0.0:80", 1, "nginx"),
		listener("127.0.0.1:6379", 2, "redis-server"),
		flow("192.0.2.1:80", "198.51.100.1:50000", 1, "nginx"),
		flow("192.0.2.1:80", "198.51.100.2:50001", 1, "nginx"),
		flow("127.0.0.1:40000", "127.0.0.1:6379", 3, "node"),
		owned{Socket: socketOf(model.SynSent, "192.0.2.1:40001", "203.0.113.1:443")},
	)
	snap.Known[2].Incoming, snap.Known[3].Incoming = true, true
	snap.Known[2].Owner, snap.Known[3].Owner = 0, 0 // as the listener's
	for _, test := range []struct{ query, listeners, connections string }{
		{``, "80 6379", "50000 50001 6379"},
		{`states=SYN_SENT`, "80 6379", "443"},
		{`states=before_handshake,normal`, "80 6379", "50000 50001 6379 443"},
		{`local_port=80`, "80", "50000 50001"},
		{`local_port=80&local_port=40000`, "80", "50000 50001 6379"},
		{`remote_port=50001,6379`, "80 6379", "50001 6379"},
		{`remote_address=198.51.100.0/24`, "80 6379", "50000 50001"},
		{`incoming=false`, "80 6379", "6379"},
		{`pid=2`, "6379", ""},
		{`process=nginx`, "80", "50000 50001"},
		{`process=node`, "", "6379"},
		{`limit=1`, "80", "50000"},
		{`extended=false&`, "80 6379", "50000 50001 6379"},
		{`scope=80`, "80", "50000 50001"},
		{`scope=80&limit=1&remote_port=50001`, "80", "50001"},
	} {
		var answer struct {
			Listeners   []struct{ Port int }
			Connections []struct{ ToPort int }
		}
		body := ask(RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()), "/api/connections?"+test.query).Body
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Errorf("%s: %v in %s", test.query, err, body)
			continue
		}
		var listeners, connections []string
		for _, l := range answer.Listeners {
			listeners = append(listeners, fmt.Sprint(l.Port))
		}
		for _, c := range answer.Connections {
			connections = append(connections, fmt.Sprint(c.ToPort))
		}
		if got := strings.Join(listeners, " "); got != test.listeners {
			t.Errorf("%s: listeners on %q, want %q", test.query, got, test.listeners)
		}
		if got := strings.Join(connections, " "); got != test.connections {
			t.Errorf("%s: connections to %q, want %q", test.query, got, test.connections)
		}
	}
}

// extended adds the member socket, the same as in get_connections, to the records of both arrays.
func TestRESTConnectionsExtended(t *testing.T) {
	snap := hostOf(listener("127.0.0.1:6379", 2, "redis-server"), flow("127.0.0.1:40000", "127.0.0.1:6379", 3, "node"))
	var answer struct {
		Listeners, Connections []struct {
			Socket struct {
				Local string `json:"local_address"`
				State string `json:"tcp_state"`
				PID   int    `json:"pid"`
			}
		}
	}
	body := ask(RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()), "/api/connections?extended=true").Body
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(answer), "{[{{127.0.0.1:6379 LISTEN 2}}] [{{127.0.0.1:40000 ESTABLISHED 3}}]}"; got != want {
		t.Errorf("sockets %s, want %s", got, want)
	}
}

func TestRESTConnectionsWrongParameters(t *testing.T) {
	const known = `, want one of incoming, states, local_port, remote_port, remote_address, pid, process, scope, limit, extended`
	for _, test := range []struct{ query, message string }{
		{`zebra=1&colour=1&zoo=1`, `colour: no such parameter` + known},
		{`=7`, `\"\": no such parameter` + known},
		{`%ff%22=7`, "\ufffd" + `\": no such parameter` + known},
		{strings.Repeat("x", 65), strings.Repeat("x", 64) + `…: no such parameter` + known},
		{`%zz`, `the query string cannot be read: invalid URL escape \"%zz\"`},
		{`a;b`, `the query string cannot be read: invalid semicolon separator in query`},
		{`pid`, `pid: want the number of a process, from 1 to 2147483647, not \"\"`},
		{`pid=0`, `pid: want the number of a process, from 1 to 2147483647, not 0`},
		{`process=`, `process: want the name of a process, not \"\"`},
		{`limit=1&limit=2`, `limit: given twice, want it once`},
		{`remote_address=x`, `remote_address: \"x\" is no network, want one such as 192.0.2.0/24 or 2001:db8::/32, or an address`},
		{`local_port=0`, `local_port: want a port from 1 to 65535 or an array of them, not [0]`},
		{`incoming=yes`, `incoming: want true or false, not \"yes\"`},
	} {
		c := &stillness{snap: hostOf()}
		h := RESTConnections(c, service.BuiltIn(), 0, zerolog.Nop())
		if diff := cmp.Diff(answered(400, `{"error":"`+test.message+`"}`), ask(h, "/api/connections?"+test.query)); diff != "" {
			t.Errorf("%.100s (-want +got):\n%s", test.query, diff)
		}
		if c.wants != nil {
			t.Errorf("%.100s: the kernel was asked for nothing", test.query)
		}
	}
	h := RESTConnections(&stillness{snap: hostOf()}, service.BuiltIn(), 0, zerolog.Nop())
	for _, target := range []string{"/api/connections?", "/api/connections?&"} {
		if diff := cmp.Diff(answered(200, `{"listeners":[],"connections":[]}`), ask(h, target)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

// A container's name goes before the service, on both sides of a port that docker-proxy forwards; its icon is that of
// what listens inside.
func TestRESTConnectionsOfContainers(t *testing.T) {
	const own, inside = 2, 3
	in := func(netns uint32, container int32, o owned) owned {
		o.NetNS, o.owner.Container = netns, container
		return o
	}
	for _, test := range []struct {
		name        string
		socket      owned
		forwardsTo  uint16
		label, icon string
		container   string
	}{
		{"in a container", in(inside, 0, listener("0.0.0.0:5432", 7, "postgres")), 0, "db", "postgres", "db"},
		{"forwards to what listens in it", in(own, 0, listener("0.0.0.0:15432", 9012, "docker-proxy")), 5432, "db", "postgres", "db"},
		{"forwards to what cannot be seen", in(own, 1, listener("0.0.0.0:16379", 9013, "docker-proxy")), 6379, "cache", "redis", "cache"},
		{"forwards to a container that is not known", in(own, model.NoContainer, listener("0.0.0.0:16379", 9013, "docker-proxy")), 6379, "Docker", "redis", ""},
		{"forwards to a container and a port that nobody knows", in(own, 2, listener("0.0.0.0:1", 9013, "docker-proxy")), 2, "Docker", "docker", ""},
		{"in a container without a name", in(inside, 2, listener("0.0.0.0:80", 8, "nginx")), 0, "nginx", "nginx", ""},
		{"in a pod", in(inside, 3, listener("0.0.0.0:80", 8, "nginx")), 0, "nginx", "nginx", "0123456789ab"},
		{"in none, by socket activation", in(own, model.NoContainer, listener("0.0.0.0:22", 1, "systemd")), 0, "SSH", "ssh", ""},
		{"in none, by socket activation at an odd port", in(own, model.NoContainer, listener("0.0.0.0:2", 1, "systemd")), 0, "systemd", "generic", ""},
		{"in none", in(own, model.NoContainer, listener("0.0.0.0:22", 8, "sshd")), 0, "SSH", "ssh", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			// What it forwards to stands behind it, as it may in a dump.
			sockets := []owned{test.socket, in(inside, 0, listener("0.0.0.0:5432", 7, "postgres"))}
			snap := hostOf(sockets...)
			snap.Containers = []model.Container{
				{Runtime: "docker", ID: "1", Name: "db"},
				{Runtime: "docker", ID: "2", Name: "cache"},
				{Runtime: "docker", ID: "3"},
				{Runtime: "cri-o", ID: "0123456789abcdef"},
			}
			for i, o := range sockets {
				snap.Known[i].Container = o.owner.Container
			}
			snap.Known[0].ForwardsTo = test.forwardsTo
			var answer struct {
				Listeners []struct{ ServiceLabel, ProcessIconType, ContainerName string }
			}
			body := ask(RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()), "/api/connections").Body
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			got := answer.Listeners[0]
			if got.ServiceLabel != test.label || got.ProcessIconType != test.icon || got.ContainerName != test.container {
				t.Errorf("%+v, want label %q, icon %q, container %q", got, test.label, test.icon, test.container)
			}
		})
	}
}

// A client that reads slowly holds no snapshot: it is back before the first byte is sent.
func TestRESTConnectionsReleasesBeforeItSends(t *testing.T) {
	c := &stillness{snap: hostOf(listener("0.0.0.0:22", 1, "sshd"))}
	h := RESTConnections(c, service.BuiltIn(), 0, zerolog.Nop())
	atSending := -1
	h.ServeHTTP(sender(func() { atSending = c.released }), httptest.NewRequest("GET", "/api/connections", nil))
	if atSending != 1 || c.released != 1 {
		t.Errorf("released %d times when the answer was sent and %d times in all, want once and once", atSending, c.released)
	}
}

// sender is a ResponseWriter that tells when it is written to.
type sender func()

func (s sender) Header() http.Header         { return http.Header{} }
func (s sender) WriteHeader(int)             { s() }
func (s sender) Write(p []byte) (int, error) { return len(p), nil }

// A connection costs no allocation: what there is goes for the listeners and the two tables of addresses.
func TestRESTConnectionsAllocations(t *testing.T) {
	const connections, atMost = 1000, 50
	snap := crowd(connections)
	for i := range 10 {
		snap.Sockets[i*100].State = model.Listen
	}
	h := RESTConnections(nil, service.BuiltIn(), 0, zerolog.Nop()).(*restConnections)
	all := &connectionsParams{filter: model.Filter{States: model.States(model.Established)}}
	var out Reply
	write := func() {
		out.Buf = out.Buf[:0]
		if err := h.write(&out, snap, new(model.Scope), all, nil); err != nil {
			t.Error(err)
		}
	}
	write()
	if got := testing.AllocsPerRun(10, write); got > atMost {
		t.Errorf("%v allocations for %d connections and 10 listeners, want at most %d", got, connections, atMost)
	}
}

func BenchmarkRESTConnections(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := &stillness{snap: crowd(n)}
			h := RESTConnections(c, service.BuiltIn(), 0, zerolog.Nop())
			request := httptest.NewRequest("GET", "/api/connections", nil)
			w := nowhere{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				c.wants, c.filters = c.wants[:0], c.filters[:0]
				h.ServeHTTP(w, request)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/socket")
		})
	}
}

// The addresses of one namespace mean nothing in another: who listens at the far end is looked for where its address is,
// and loopback is one's own.
// The interfaces tell whose an address is, so that a flow is labelled whether or not the answer has the other end of it.
func TestToLabelByInterface(t *testing.T) {
	const own, blue, red = 2, 3, 4
	in := func(netns uint32, s model.Socket) model.Socket { s.NetNS = netns; return s }
	snap := snapshotOf(
		in(own, socketOf(model.Listen, "0.0.0.0:81", "0.0.0.0:0")),
		in(blue, socketOf(model.Listen, "0.0.0.0:81", "0.0.0.0:0")),
		in(own, socketOf(model.Established, "10.0.0.1:50001", "10.0.0.2:81")),
		in(own, socketOf(model.Established, "10.0.0.1:50002", "10.0.0.1:81")),
		in(own, socketOf(model.Established, "10.0.0.1:50003", "10.0.0.3:81")), // in two namespaces
		in(own, socketOf(model.Established, "10.0.0.1:50004", "10.0.0.4:81")), // in none
		// A socket may have an address that is no interface's, as by IP_TRANSPARENT: whose it is the interfaces know better.
		in(red, socketOf(model.Established, "10.0.0.2:50005", "192.0.2.1:9")),
	)
	snap.NetNSLabels = map[uint32]string{blue: "blue", red: "red"}
	snap.Owners = []model.Owner{ownerOf(1, "nginx"), ownerOf(2, "caddy")}
	snap.Known[0].Owner, snap.Known[1].Owner = 0, 1
	ip := func(s string) [16]byte { return netip.MustParseAddr(s).As16() }
	snap.Bound = map[model.Address]uint32{
		{NetNS: own, IP: ip("10.0.0.1")}: 1, {NetNS: blue, IP: ip("10.0.0.2")}: 1,
		{NetNS: own, IP: ip("10.0.0.3")}: 1, {NetNS: red, IP: ip("10.0.0.3")}: 1,
	}
	body := ask(RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()), "/").Body
	var answer struct {
		Connections []struct{ ToAddress, ToLabel string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, c := range answer.Connections {
		got[c.ToAddress] = c.ToLabel
	}
	want := map[string]string{"10.0.0.1": "nginx", "10.0.0.2": "Caddy", "10.0.0.3": "", "10.0.0.4": "", "192.0.2.1": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestRESTConnectionsOfOtherNamespaces(t *testing.T) {
	const own, blue, red = 2, 3, 4
	in := func(netns uint32, s model.Socket) model.Socket { s.NetNS = netns; return s }
	snap := snapshotOf(
		in(own, socketOf(model.Listen, "0.0.0.0:80", "0.0.0.0:0")),
		in(blue, socketOf(model.Listen, "0.0.0.0:80", "0.0.0.0:0")),
		in(own, socketOf(model.Established, "127.0.0.1:50001", "127.0.0.1:80")),
		in(blue, socketOf(model.Established, "127.0.0.1:50001", "127.0.0.1:80")),
		in(own, socketOf(model.Established, "10.0.0.1:50002", "10.0.0.2:80")),
		in(blue, socketOf(model.Established, "10.0.0.2:80", "10.0.0.1:50002")),
		// 10.9.9.9 is in two namespaces: which of them is meant cannot be told.
		in(blue, socketOf(model.Established, "10.9.9.9:50003", "10.0.0.2:80")),
		in(red, socketOf(model.Established, "10.9.9.9:50003", "192.0.2.1:9")),
		in(own, socketOf(model.Established, "10.0.0.1:50004", "10.9.9.9:6379")),
	)
	snap.NetNSLabels = map[uint32]string{own: "self", blue: "blue", red: "net:[4]"}
	snap.Owners = []model.Owner{ownerOf(1, "nginx"), ownerOf(2, "caddy")}
	snap.Known[0].Owner, snap.Known[1].Owner = 0, 1

	recorder := httptest.NewRecorder()
	RESTConnections(&stillness{snap: snap}, service.BuiltIn(), 0, zerolog.Nop()).ServeHTTP(recorder, httptest.NewRequest("GET", "/api/connections", nil))
	var answer struct {
		Listeners   []struct{ ServiceLabel, NetNS string }
		Connections []struct{ ToLabel, NetNS string }
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range answer.Listeners {
		got = append(got, l.NetNS+" "+l.ServiceLabel)
	}
	for _, c := range answer.Connections {
		got = append(got, c.NetNS+" "+c.ToLabel)
	}
	want := []string{
		" nginx", "blue Caddy",
		" nginx", "blue Caddy", " Caddy", "blue ", "blue Caddy", "net:[4] ",
		" Redis", // by its port, as that of any other host
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("namespaces and labels (-want +got):\n%s", diff)
	}
}

// With a scope the host is the node: its listeners, and its connections less those of its RPC clients.
func TestRESTConnectionsOfAScope(t *testing.T) {
	c := &stillness{snap: aNode()}
	recorder := httptest.NewRecorder()
	RESTConnections(c, service.BuiltIn(), 18080, zerolog.Nop()).ServeHTTP(recorder, httptest.NewRequest("GET", "/api/connections", nil))
	var answer struct {
		Listeners   []struct{ Port int }
		Connections []struct{ ToPort int }
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, l := range answer.Listeners {
		got = append(got, l.Port)
	}
	for _, c := range answer.Connections {
		got = append(got, c.ToPort)
	}
	if diff := cmp.Diff([]int{18080, 18081, 40001, 18080, 18080}, got); diff != "" {
		t.Errorf("listeners' ports and remote ports (-want +got):\n%s", diff)
	}
	if want := (collector.Want{Owners: true, ListenerOwners: true, Containers: true, Listeners: true, NoInfo: true, Scope: 18080}); c.wants[0] != want {
		t.Errorf("asked for %+v, want %+v", c.wants[0], want)
	}
}
