package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// stillness is a collector whose host never changes.
type stillness struct {
	snap     *model.Snapshot
	err      error
	wants    []collector.Want
	filters  []*model.Filter
	released int
}

func (s *stillness) Follow(want collector.Want, filter *model.Filter) (*collector.Following, error) {
	s.wants, s.filters = append(s.wants, want), append(s.filters, filter)
	if s.err != nil {
		return nil, s.err
	}
	return collector.Whole(s.snap, func() { s.released++ }), nil
}

// gathered calls h for the whole of its answer.
func gathered(h StreamHandler) Handler {
	return func(ctx context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		out := Reply{Buf: dst}
		err := h(ctx, params, &out)
		return out.Buf, err
	}
}

// socketOf is a socket in the given state, from local to remote.
func socketOf(state model.TCPState, local, remote string) model.Socket {
	from, to := netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote)
	family := model.IPv4
	if from.Addr().Is6() {
		family = model.IPv6
	}
	return model.Socket{
		Cookie: 1, NetNS: 2, Family: family, State: state, InfoLen: 248,
		LocalIP: from.Addr().As16(), LocalPort: from.Port(),
		RemoteIP: to.Addr().As16(), RemotePort: to.Port(),
	}
}

// snapshotOf has the sockets of nobody.
func snapshotOf(sockets ...model.Socket) *model.Snapshot {
	snap := &model.Snapshot{Sockets: sockets, NetNS: 2} // as socketOf
	for range sockets {
		snap.Known = append(snap.Known, model.Known{Owner: model.NoOwner})
	}
	return snap
}

// monerodsSnapshot has four connections, told apart by their remote ports 1, 2, 3 and 4, and sockets that are none.
func monerodsSnapshot() *model.Snapshot {
	snap := snapshotOf(
		socketOf(model.Listen, "0.0.0.0:18080", "0.0.0.0:0"),
		socketOf(model.Established, "192.0.2.1:18080", "198.51.100.7:1"),
		socketOf(model.TimeWait, "192.0.2.1:18080", "198.51.100.7:9"),
		socketOf(model.SynSent, "192.0.2.1:50000", "203.0.113.1:2"),
		socketOf(model.Close, "192.0.2.1:50001", "203.0.113.1:9"),
		socketOf(model.CloseWait, "[2001:db8::1]:18080", "[2001:db8::2]:3"),
		socketOf(model.Established, "[::ffff:127.0.0.1]:18081", "[::ffff:127.0.0.1]:4"),
	)
	snap.Owners = []model.Owner{{PID: 7, Name: "monerod"}, {PID: 8, Name: "curl"}}
	snap.Known[1] = model.Known{Owner: 0, Incoming: true}
	snap.Known[3] = model.Known{Owner: 1}
	snap.Known[5] = model.Known{Owner: 0, Incoming: true}
	return snap
}

func TestGetConnections(t *testing.T) {
	for _, test := range []struct {
		params string
		ports  string // of the records, as their members have them
		owners bool
	}{
		{params: ``, ports: "1 2 3 4"},
		{params: `{}`, ports: "1 2 3 4"},
		{params: `[]`, ports: "1 2 3 4"},
		{params: `{"incoming":true}`, ports: "1 3"},
		{params: `{"incoming":false}`, ports: "2 4"},
		{params: `{"states":["normal"]}`, ports: "1 4"},
		{params: `{"states":["SYN_SENT","CLOSE_WAIT"]}`, ports: "2 3"},
		{params: `{"states":["LAST_ACK"]}`, ports: ""},
		{params: `{"local_port":18080}`, ports: "1 3"},
		{params: `{"local_port":[50000,18081]}`, ports: "2 4"},
		{params: `{"remote_port":[4,1]}`, ports: "1 4"},
		{params: `{"remote_address":"198.51.100.0/24"}`, ports: "1"},
		{params: `{"remote_address":"127.0.0.1"}`, ports: "4"},
		{params: `{"remote_address":["2001:db8::/32","203.0.113.1"]}`, ports: "2 3"},
		{params: `{"pid":7}`, ports: "1 3", owners: true},
		{params: `{"pid":9}`, ports: "", owners: true},
		{params: `{"process":"monerod"}`, ports: "1 3", owners: true},
		{params: `{"process":"curl"}`, ports: "2", owners: true},
		{params: `{"process":"monero"}`, ports: "", owners: true},
		{params: `{"extended":true}`, ports: "1 2 3 4", owners: true},
		{params: `{"extended":false}`, ports: "1 2 3 4"},
		{params: `{"limit":1}`, ports: "1"},
		{params: `{"limit":3}`, ports: "1 2 3"},
		{params: `{"limit":5}`, ports: "1 2 3 4"},
		{params: `{"limit":1,"incoming":false}`, ports: "2"},
		{params: `{"pid":7,"states":["standby"],"extended":true}`, ports: "3", owners: true},
	} {
		t.Run(test.params, func(t *testing.T) {
			c := &stillness{snap: monerodsSnapshot()}
			result, err := gathered(GetConnections(c, ConnectionsOptions{}))(t.Context(), json.RawMessage(test.params), []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			body, isAfter := bytes.CutPrefix(result, []byte("before"))
			if !isAfter {
				t.Fatalf("result %s: what came was not appended to", result)
			}
			var answer struct {
				Connections []struct {
					Port   string
					Socket json.RawMessage
				}
				Status    string
				Untrusted *bool
			}
			if err := json.Unmarshal(body, &answer); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			var ports []string
			for _, record := range answer.Connections {
				ports = append(ports, record.Port)
				if is := record.Socket != nil; is != strings.Contains(test.params, `"extended":true`) {
					t.Errorf("port %s: member socket: %t", record.Port, is)
				}
			}
			if got := strings.Join(ports, " "); got != test.ports {
				t.Errorf("remote ports %q, want %q", got, test.ports)
			}
			if answer.Connections == nil || answer.Status != "OK" || answer.Untrusted == nil || *answer.Untrusted {
				t.Errorf("answer %s", body)
			}
			if diff := cmp.Diff([]collector.Want{{Owners: test.owners, Containers: strings.Contains(test.params, `"extended":true`)}}, c.wants); diff != "" {
				t.Errorf("asked of the collector (-want +got):\n%s", diff)
			}
			if c.released != 1 {
				t.Errorf("released %d times, want once", c.released)
			}
		})
	}
}

// What a filter says is for the kernel, but with a scope: whose connections those of a node are, others tell.
func TestGetConnectionsHandsOnTheFilter(t *testing.T) {
	for _, test := range []struct {
		params string
		port   uint16 // in the filter; 0: there is none
	}{
		{`{"local_port":18080}`, 18080},
		{`{"local_port":18080,"extended":true}`, 18080},
		{`{"local_port":18080,"scope":18080}`, 0},
	} {
		c := &stillness{snap: aNode()}
		if _, err := gathered(GetConnections(c, ConnectionsOptions{}))(t.Context(), json.RawMessage(test.params), nil); err != nil {
			t.Fatal(err)
		}
		var port uint16
		if f := c.filters[0]; f != nil {
			port = f.LocalPorts[0]
		}
		if port != test.port {
			t.Errorf("%s: filter for port %d, want %d", test.params, port, test.port)
		}
	}
}

// The answer as it goes over the wire, to the byte.
func TestGetConnectionsIsExact(t *testing.T) {
	s := socketOf(model.Established, "[2001:db8::1]:18080", "[2001:db8::2]:49152")
	s.Cookie, s.NetNS, s.Inode, s.UID = 0x1234, 4026531840, 5678, 1000
	s.BytesReceived, s.BytesSent, s.BytesRetrans = 4096, 2148, 100
	s.LastDataRecv, s.LastDataSent = 2500, 999
	s.RTT, s.RTTVar, s.MinRTT, s.TotalRetrans, s.CongestionWindow, s.DeliveryRate = 300, 20, 250, 1, 10, 1000000
	snap := snapshotOf(s)
	snap.Known[0] = model.Known{ID: [16]byte{0xab, 15: 0x01}, Age: 2*time.Second + 999*time.Millisecond, AgeExact: true, Download: 4095, Upload: 1024, Owner: 0, Incoming: true}
	snap.Owners = []model.Owner{{PID: 7, Name: `a "name"`}}

	const (
		start = `{"connections":[{"address":"[2001:db8::2]:49152","address_type":2,"avg_download":2,"avg_upload":1,` +
			`"connection_id":"ab000000000000000000000000000001","current_download":3,"current_upload":1,"height":42,"host":"2001:db8::2","incoming":true,` +
			`"ip":"2001:db8::2","live_time":2,"local_ip":false,"localhost":false,"peer_id":"0000000000000000","port":"49152",` +
			`"pruning_seed":0,"recv_count":4096,"recv_idle_time":2,"rpc_credits_per_hash":0,"rpc_port":0,"send_count":2048,"send_idle_time":0,`
		socket = `"socket":{"congestion_state":"open","congestion_window":10,"container_id":"","container_name":"","container_pod_uid":"","container_runtime":"","cookie":4660,"delivery_rate":1000000,"inode":5678,` +
			`"live_time_exact":true,"local_address":"[2001:db8::1]:18080","min_rtt_us":250,"netns":4026531840,"pid":7,` +
			`"process_name":"a \"name\"","retransmits":1,"rtt_us":300,"rttvar_us":20,"tcp_state":"ESTABLISHED","uid":1000},`
		fromState = `"state":"normal","support_flags":0}],"status":"OK","untrusted":false}`
	)
	for _, test := range []struct {
		snap         *model.Snapshot
		params, want string
	}{
		{snap, ``, start + fromState},
		{snap, `{"extended":true}`, start + socket + fromState},
		{snap, `{"incoming":false}`, `{"connections":[],"status":"OK","untrusted":false}`},
		{snapshotOf(), ``, `{"connections":[],"status":"OK","untrusted":false}`},
	} {
		got, err := gathered(GetConnections(&stillness{snap: test.snap}, ConnectionsOptions{Height: 42}))(t.Context(), json.RawMessage(test.params), nil)
		if err != nil {
			t.Errorf("%s: %v", test.params, err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.params, diff)
		}
	}
}

func TestGetConnectionsThatFails(t *testing.T) {
	for _, test := range []struct {
		params string
		code   int64
		asked  int
		log    []map[string]any
	}{
		{
			params: `{}`, code: -32603, asked: 1,
			log: []map[string]any{{"level": "error", "method": "get_connections", "error": "take a snapshot: netlink: no buffer space", "message": "method failed"}},
		},
		{params: `{"pid":0}`, code: -32602}, // the kernel is not asked for nothing
	} {
		var log bytes.Buffer
		c := &stillness{err: errors.New("netlink: no buffer space")}
		r := NewRouter(zerolog.New(&log))
		r.HandleStream("get_connections", GetConnections(c, ConnectionsOptions{}))
		out := Reply{Buf: []byte("before")}
		err := r.Call(t.Context(), "get_connections", json.RawMessage(test.params), &out)
		got := out.Buf
		e, ok := err.(*jsonrpc2.Error)
		if !ok || e.Code != test.code || (e.Data != nil) != (test.code == -32602) {
			t.Errorf("%s: error %v, want %d", test.params, err, test.code)
		}
		if string(got) != "before" {
			t.Errorf("%s: result %q, want none", test.params, got)
		}
		if len(c.wants) != test.asked {
			t.Errorf("%s: the collector was asked %d times, want %d", test.params, len(c.wants), test.asked)
		}
		if diff := cmp.Diff(test.log, logLines(t, log.String())); diff != "" {
			t.Errorf("%s: log (-want +got):\n%s", test.params, diff)
		}
	}
}

// A snapshot goes back also where its reader breaks down.
func TestGetConnectionsReleasesWhenItPanics(t *testing.T) {
	snap := snapshotOf(socketOf(model.Established, "192.0.2.1:1", "192.0.2.2:2"))
	snap.Known = nil
	c := &stillness{snap: snap}
	r := NewRouter(zerolog.Nop())
	r.HandleStream("get_connections", GetConnections(c, ConnectionsOptions{}))
	if err := r.Call(t.Context(), "get_connections", nil, new(Reply)); err == nil || err.(*jsonrpc2.Error).Code != -32603 {
		t.Errorf("error %v, want -32603", err)
	}
	if c.released != 1 {
		t.Errorf("released %d times, want once", c.released)
	}
}

// crowd is a host with n connections, IPv4 and IPv6 by turns, of some processes, and a listener for each ten.
func crowd(n int) *model.Snapshot {
	snap := new(model.Snapshot)
	for i := range 50 {
		snap.Owners = append(snap.Owners, model.Owner{PID: int32(1000 + i), Name: fmt.Sprintf("worker-%d", i)})
	}
	for i := range n {
		local, remote := netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%2 == 1 {
			local = netip.MustParseAddr("2001:db8::1")
			remote = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		}
		s := model.Socket{
			Cookie: uint64(i + 1), NetNS: 4026531840, Inode: uint32(i + 1), State: model.Established, Family: model.IPv4, InfoLen: 248,
			LocalIP: local.As16(), LocalPort: uint16(18080 + i%100), RemoteIP: remote.As16(), RemotePort: uint16(1024 + i%60000),
			BytesReceived: uint64(i) * 1000, BytesSent: uint64(i) * 500, LastDataRecv: uint32(i), LastDataSent: uint32(i), RTT: 30000,
		}
		snap.Sockets = append(snap.Sockets, s)
		snap.Known = append(snap.Known, model.Known{Age: time.Duration(i) * time.Second, Owner: int32(i % 50), Incoming: i%3 == 0})
	}
	return snap
}

// Encoding allocates nothing for a connection.
func TestGetConnectionsAllocations(t *testing.T) {
	const connections, atMost = 1000, 8
	snap := crowd(connections)
	for _, params := range []string{``, `{"extended":true}`, `{"incoming":true,"states":["normal"]}`} {
		p, err := parseConnectionsParams(json.RawMessage(params))
		if err != nil {
			t.Fatal(err)
		}
		var out Reply
		encode := func() {
			out.Buf = out.Buf[:0]
			w := connectionsWriter{p: &p, scope: new(model.Scope)}
			if err := w.write(&out, snap, true); err != nil {
				t.Error(err)
			}
		}
		encode() // the buffer grows
		got := testing.AllocsPerRun(10, encode)
		if got > atMost {
			t.Errorf("params %q: %v allocations for %d connections, want at most %d", params, got, connections, atMost)
		}
	}
}

func BenchmarkGetConnections(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		c := &stillness{snap: crowd(n)}
		handler := GetConnections(c, ConnectionsOptions{})
		for name, params := range map[string]string{"default": ``, "extended": `{"extended":true}`, "filtered to none": `{"local_port":1}`} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				out := Reply{send: func(b []byte) ([]byte, error) { return b[:0], nil }}
				b.ReportAllocs()
				for b.Loop() {
					c.wants, c.filters, out.Buf = c.wants[:0], c.filters[:0], out.Buf[:0]
					if err := handler(context.Background(), json.RawMessage(params), &out); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/socket")
			})
		}
	}
}
