package model

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// record has the 25 members of monerod's record with their JSON types, for
// encoding/json to say what AppendJSON must.
type record struct {
	Address           string        `json:"address"`
	AddressType       int           `json:"address_type"`
	AvgDownload       uint64        `json:"avg_download"`
	AvgUpload         uint64        `json:"avg_upload"`
	ConnectionID      string        `json:"connection_id"`
	CurrentDownload   uint64        `json:"current_download"`
	CurrentUpload     uint64        `json:"current_upload"`
	Height            uint64        `json:"height"`
	Host              string        `json:"host"`
	Incoming          bool          `json:"incoming"`
	IP                string        `json:"ip"`
	LiveTime          uint64        `json:"live_time"`
	LocalIP           bool          `json:"local_ip"`
	Localhost         bool          `json:"localhost"`
	PeerID            string        `json:"peer_id"`
	Port              string        `json:"port"`
	PruningSeed       uint32        `json:"pruning_seed"`
	RecvCount         uint64        `json:"recv_count"`
	RecvIdleTime      uint64        `json:"recv_idle_time"`
	RPCCreditsPerHash uint32        `json:"rpc_credits_per_hash"`
	RPCPort           uint16        `json:"rpc_port"`
	SendCount         uint64        `json:"send_count"`
	SendIdleTime      uint64        `json:"send_idle_time"`
	Socket            *socketRecord `json:"socket,omitempty"`
	State             string        `json:"state"`
	SupportFlags      uint32        `json:"support_flags"`
}

type socketRecord struct {
	CongestionState  string `json:"congestion_state"`
	CongestionWindow uint32 `json:"congestion_window"`
	ContainerID      string `json:"container_id"`
	ContainerName    string `json:"container_name"`
	ContainerPodUID  string `json:"container_pod_uid"`
	ContainerRuntime string `json:"container_runtime"`
	Cookie           uint64 `json:"cookie"`
	DeliveryRate     uint64 `json:"delivery_rate"`
	Inode            uint32 `json:"inode"`
	LiveTimeExact    bool   `json:"live_time_exact"`
	LocalAddress     string `json:"local_address"`
	MinRTT           uint32 `json:"min_rtt_us"`
	NetNS            uint32 `json:"netns"`
	PID              int32  `json:"pid"`
	ProcessName      string `json:"process_name"`
	Retransmits      uint32 `json:"retransmits"`
	RTT              uint32 `json:"rtt_us"`
	RTTVar           uint32 `json:"rttvar_us"`
	TCPState         string `json:"tcp_state"`
	UID              uint32 `json:"uid"`
}

// fullConnection has every field set, each to another value.
func fullConnection() Connection {
	return Connection{
		ID:     [16]byte{0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff},
		Remote: netip.MustParseAddrPort("[2001:db8::1]:18080"), State: "normal",
		LiveTime: 1, RecvCount: 2, SendCount: 3, RecvIdleTime: 4, SendIdleTime: 5, AvgDownload: 6, AvgUpload: 7,
		CurrentDownload: 8, CurrentUpload: 9, Height: 1 << 63, PeerID: 0x00ff00ff12345678, PruningSeed: 10,
		RPCCreditsPerHash: 11, SupportFlags: 12, RPCPort: 13, Incoming: true,
		Socket: &SocketDetail{
			Local: netip.MustParseAddrPort("[2001:db8::2]:1"), TCPState: Established, CongestionState: 2,
			CongestionWindow: 14, RTT: 15, RTTVar: 16, MinRTT: 17, Retransmits: 18, UID: 19, NetNS: 20, Inode: 21,
			DeliveryRate: 22, Cookie: 1 << 62, PID: 23, ProcessName: "a \"name\"\\\x01ü", LiveTimeExact: true,
			Container: &Container{Runtime: "cri-o", ID: "0123456789abcdef", PodUID: "f0-1", Name: "a \"box\""},
		},
	}
}

func fullRecord() record {
	return record{
		Address: "[2001:db8::1]:18080", AddressType: 2, AvgDownload: 6, AvgUpload: 7,
		ConnectionID: "0a0102030405060708090a0b0c0d0eff", CurrentDownload: 8, CurrentUpload: 9, Height: 1 << 63,
		Host: "2001:db8::1", Incoming: true, IP: "2001:db8::1", LiveTime: 1, PeerID: "00ff00ff12345678", Port: "18080",
		PruningSeed: 10, RecvCount: 2, RecvIdleTime: 4, RPCCreditsPerHash: 11, RPCPort: 13, SendCount: 3, SendIdleTime: 5,
		State: "normal", SupportFlags: 12,
		Socket: &socketRecord{
			CongestionState: "cwr", CongestionWindow: 14, ContainerID: "0123456789abcdef", ContainerName: `a "box"`,
			ContainerPodUID: "f0-1", ContainerRuntime: "cri-o", Cookie: 1 << 62, DeliveryRate: 22, Inode: 21, LiveTimeExact: true,
			LocalAddress: "[2001:db8::2]:1", MinRTT: 17, NetNS: 20, PID: 23, ProcessName: "a \"name\"\\\x01ü",
			Retransmits: 18, RTT: 15, RTTVar: 16, TCPState: "ESTABLISHED", UID: 19,
		},
	}
}

func TestConnectionJSON(t *testing.T) {
	with := fullConnection()
	without := fullConnection()
	without.Socket = nil
	wantWithout := fullRecord()
	wantWithout.Socket = nil
	bare, wantBare := fullConnection(), fullRecord()
	bare.Socket.Container = nil
	wantBare.Socket.ContainerID, wantBare.Socket.ContainerName = "", ""
	wantBare.Socket.ContainerPodUID, wantBare.Socket.ContainerRuntime = "", ""
	for _, test := range []struct {
		connection Connection
		want       record
	}{{with, fullRecord()}, {without, wantWithout}, {bare, wantBare}} {
		want, err := json.Marshal(test.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := test.connection.AppendJSON([]byte("x")); string(got) != "x"+string(want) {
			t.Errorf("record\n%s, want\n%s", got[1:], want)
		}
	}
}

// Every record has monerod's members, in monerod's order, of monerod's JSON
// types: those of an answer that a real monerod gave.
func TestConnectionIsLikeMonerods(t *testing.T) {
	b, err := os.ReadFile("testdata/monerod_get_connections.json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Result struct{ Connections []json.RawMessage }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Result.Connections) != 2 {
		t.Fatalf("%d records in the captured answer, want 2", len(answer.Result.Connections))
	}
	c := fullConnection()
	c.Socket = nil
	got := shape(t, c.AppendJSON(nil))
	for _, theirs := range answer.Result.Connections {
		want := shape(t, theirs)
		if len(want) != 25 {
			t.Fatalf("%d members in monerod's record, want 25", len(want))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members and types (-monerod +ours):\n%s", diff)
		}
	}
}

// shape is the members of an object in order, each with its JSON type.
func shape(t *testing.T, object []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var members []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		value, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, name.(string)+" "+reflect.TypeOf(value).String())
	}
	return members
}

// The fields that say what the remote address is.
func TestConnectionAddress(t *testing.T) {
	for _, test := range []struct {
		remote, address, host string
		addressType           int
		localhost, localIP    bool
	}{
		{"192.0.2.1:18080", "192.0.2.1:18080", "192.0.2.1", 1, false, false},
		{"127.0.0.1:1", "127.0.0.1:1", "127.0.0.1", 1, true, false},
		{"127.255.0.9:1", "127.255.0.9:1", "127.255.0.9", 1, true, false},
		{"10.0.0.1:1", "10.0.0.1:1", "10.0.0.1", 1, false, true},
		{"172.16.0.1:1", "172.16.0.1:1", "172.16.0.1", 1, false, true},
		{"172.31.255.255:1", "172.31.255.255:1", "172.31.255.255", 1, false, true},
		{"172.32.0.1:1", "172.32.0.1:1", "172.32.0.1", 1, false, false},
		{"192.168.1.1:65535", "192.168.1.1:65535", "192.168.1.1", 1, false, true},
		{"169.254.1.1:1", "169.254.1.1:1", "169.254.1.1", 1, false, false},
		{"[::1]:28080", "[::1]:28080", "::1", 2, true, false},
		{"[fe80::1]:1", "[fe80::1]:1", "fe80::1", 2, false, true},
		{"[fd00::1]:1", "[fd00::1]:1", "fd00::1", 2, false, false},
		{"[2001:db8::1]:1", "[2001:db8::1]:1", "2001:db8::1", 2, false, false},
		{"[::ffff:10.0.0.1]:1", "10.0.0.1:1", "10.0.0.1", 1, false, true},
	} {
		t.Run(test.remote, func(t *testing.T) {
			remote := netip.MustParseAddrPort(test.remote)
			snap := snapshotOf(Socket{State: Established, RemoteIP: remote.Addr().As16(), RemotePort: remote.Port()}, Known{})
			got := decodeRecord(t, snap)
			if got.Address != test.address || got.Host != test.host || got.IP != test.host || got.AddressType != test.addressType ||
				got.Localhost != test.localhost || got.LocalIP != test.localIP {
				t.Errorf("%+v, want %+v", got, test)
			}
		})
	}
}

func snapshotOf(s Socket, k Known, owners ...Owner) *Snapshot {
	return &Snapshot{Sockets: []Socket{s}, Known: []Known{k}, Owners: owners}
}

func decodeRecord(t *testing.T, snap *Snapshot) record {
	t.Helper()
	c := snap.Connection(0)
	d := json.NewDecoder(bytes.NewReader(c.AppendJSON(nil)))
	d.DisallowUnknownFields()
	var r record
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConnectionValues(t *testing.T) {
	base := Socket{
		State: Established, InfoLen: 248, LastDataSent: 2999, LastDataRecv: 61_500,
		BytesReceived: 10 << 20, BytesSent: 3 << 20, BytesRetrans: 1 << 20, BytesAcked: 2<<20 + 1,
	}
	known := Known{Age: 100*time.Second + 999*time.Millisecond, Download: 2047, Upload: 2048, Incoming: true}
	type values struct {
		State                                                  string
		LiveTime, RecvCount, SendCount, RecvIdle, SendIdle     uint64
		AvgDownload, AvgUpload, CurrentDownload, CurrentUpload uint64
		Incoming                                               bool
	}
	tests := map[string]struct {
		change func(*Socket, *Known)
		want   values
	}{
		"established": {
			func(*Socket, *Known) {},
			values{"normal", 100, 10 << 20, 2 << 20, 61, 2, 102, 20, 1, 2, true},
		},
		"not idle longer than it lives": {
			func(s *Socket, k *Known) { k.Age = 30 * time.Second },
			values{"normal", 30, 10 << 20, 2 << 20, 30, 2, 341, 68, 1, 2, true},
		},
		"no mean in the first second": {
			func(s *Socket, k *Known) { k.Age = 999 * time.Millisecond },
			values{"normal", 0, 10 << 20, 2 << 20, 0, 0, 0, 0, 1, 2, true},
		},
		"the peer's FIN is no byte": {
			func(s *Socket, k *Known) { s.State = CloseWait },
			values{"standby", 100, 10<<20 - 1, 2 << 20, 61, 2, 102, 20, 1, 2, true},
		},
		"half open": {
			func(s *Socket, k *Known) {
				*s = Socket{State: SynSent, InfoLen: 248, LastDataSent: 4e9, LastDataRecv: 4e9}
				*k = Known{Age: 3 * time.Second}
			},
			values{State: "before_handshake", LiveTime: 3, RecvIdle: 3, SendIdle: 3},
		},
		"no tcp_info": {
			func(s *Socket, k *Known) { *s, *k = Socket{State: FinWait2}, Known{Age: 7 * time.Second} },
			values{State: "standby", LiveTime: 7, RecvIdle: 7, SendIdle: 7},
		},
		"a clock that went back is no age": {
			func(s *Socket, k *Known) { *k = Known{Age: -time.Second} },
			values{State: "normal", RecvCount: 10 << 20, SendCount: 2 << 20},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, k := base, known
			test.change(&s, &k)
			r := decodeRecord(t, snapshotOf(s, k))
			got := values{
				r.State, r.LiveTime, r.RecvCount, r.SendCount, r.RecvIdleTime, r.SendIdleTime,
				r.AvgDownload, r.AvgUpload, r.CurrentDownload, r.CurrentUpload, r.Incoming,
			}
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if r.Height != 0 || r.PeerID != "0000000000000000" || r.PruningSeed != 0 || r.RPCCreditsPerHash != 0 ||
				r.RPCPort != 0 || r.SupportFlags != 0 {
				t.Errorf("what the kernel does not know is not a placeholder: %+v", r)
			}
		})
	}
}

func TestPeerStates(t *testing.T) {
	want := map[TCPState]string{
		Established: "normal", SynSent: "before_handshake", SynRecv: "before_handshake", FinWait1: "standby",
		FinWait2: "standby", CloseWait: "standby", LastAck: "standby", Closing: "standby",
	}
	for s := range TCPState(255) {
		if got := s.PeerState(); got != want[s] {
			t.Errorf("%s: %q, want %q", s, got, want[s])
		}
		if got := s.IsConnection(); got != (want[s] != "") {
			t.Errorf("%s: is a connection: %v", s, got)
		}
	}
}

func TestDetail(t *testing.T) {
	s := Socket{
		State: Established, LocalIP: netip.MustParseAddr("10.0.0.1").As16(), LocalPort: 22, MinRTT: ^uint32(0), RTT: 1,
		TotalRetrans: 9, UID: 1000, NetNS: 5, Inode: 6, Cookie: 7, CongestionState: 200,
	}
	d := snapshotOf(s, Known{Owner: 0, AgeExact: true}, Owner{PID: 42, Name: "sshd"}).Detail(0)
	want := SocketDetail{
		Local: netip.MustParseAddrPort("10.0.0.1:22"), TCPState: Established, CongestionState: 200, RTT: 1, Retransmits: 9,
		UID: 1000, NetNS: 5, Inode: 6, Cookie: 7, PID: 42, ProcessName: "sshd", LiveTimeExact: true,
	}
	if d != want {
		t.Errorf("%+v, want %+v", d, want)
	}
	if d.CongestionState.String() != "unknown" {
		t.Errorf("congestion state %s, want unknown", d.CongestionState)
	}
	if d := snapshotOf(s, Known{Owner: NoOwner}).Detail(0); d.PID != 0 || d.ProcessName != "" {
		t.Errorf("owner %d %q where none is known", d.PID, d.ProcessName)
	}
}

func TestConnectionIDs(t *testing.T) {
	boot := [16]byte{1, 2, 3}
	id := func(boot [16]byte, netns uint32, cookie uint64) string {
		var id [16]byte
		NewConnectionIDs(boot).Put(&id, &Socket{NetNS: netns, Cookie: cookie})
		return string(id[:])
	}
	first := id(boot, 1, 1)
	if again := id(boot, 1, 1); again != first {
		t.Error("the id of one socket changed")
	}
	seen := map[string]bool{first: true}
	for what, other := range map[string]string{
		"another cookie": id(boot, 1, 2), "another namespace": id(boot, 2, 1), "another boot": id([16]byte{9}, 1, 1),
		"a high cookie": id(boot, 1, 1<<32+1),
	} {
		if seen[other] {
			t.Errorf("%s has the same id", what)
		}
		seen[other] = true
	}
}

func BenchmarkConnectionJSON(b *testing.B) {
	c := fullConnection()
	c.Socket = nil
	r := fullRecord()
	r.Socket = nil
	b.Run("AppendJSON", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = c.AppendJSON(buf[:0])
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		e := json.NewEncoder(&buf)
		for b.Loop() {
			buf.Reset()
			if err := e.Encode(&r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// monerod tells a link-local address with the name of its interface.
func TestConnectionZone(t *testing.T) {
	for _, test := range []struct {
		zones         map[Interface]string
		netInterface  uint32
		address, host string
	}{
		{map[Interface]string{{7, 3}: "eth0"}, 3, "[fe80::1%eth0]:18080", "fe80::1%eth0"},
		{map[Interface]string{{7, 3}: "br-lan.10"}, 3, "[fe80::1%br-lan.10]:18080", "fe80::1%br-lan.10"},
		{map[Interface]string{{8, 3}: "eth0"}, 3, "[fe80::1%3]:18080", "fe80::1%3"},
		{map[Interface]string{{7, 3}: `a"b`}, 3, "[fe80::1%3]:18080", "fe80::1%3"},
		{nil, 3, "[fe80::1%3]:18080", "fe80::1%3"},
		{nil, 0, "[fe80::1]:18080", "fe80::1"},
	} {
		snap := snapshotOf(Socket{
			State: Established, Family: IPv6, NetNS: 7, Interface: test.netInterface,
			LocalIP: netip.MustParseAddr("fe80::2").As16(), LocalPort: 1,
			RemoteIP: netip.MustParseAddr("fe80::1").As16(), RemotePort: 18080,
		}, Known{})
		snap.Zones = test.zones
		if got := decodeRecord(t, snap); got.Address != test.address || got.Host != test.host || got.IP != test.host || !got.LocalIP || got.AddressType != 2 {
			t.Errorf("%+v, want %s", got, test.address)
		}
	}
	// An address that needs none has none, whatever the socket is bound to.
	snap := snapshotOf(Socket{
		State: Established, Family: IPv6, NetNS: 7, Interface: 3,
		LocalIP: netip.MustParseAddr("2001:db8::2").As16(), RemoteIP: netip.MustParseAddr("2001:db8::1").As16(), RemotePort: 1,
	}, Known{})
	if got := decodeRecord(t, snap); got.Address != "[2001:db8::1]:1" {
		t.Errorf("address %s", got.Address)
	}
}
