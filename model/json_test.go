package model

import (
	"encoding/json"
	"net/netip"
	"testing"
)

func TestListenerJSON(t *testing.T) {
	full := Listener{
		PID: 5678, ProcessName: "redis-server", ServiceLabel: "Redis", Address: netip.MustParseAddr("127.0.0.1"),
		AddressDescription: "Localhost only (IPv4)", Port: 6379, ProcessIconType: "redis",
	}
	detail := SocketDetail{TCPState: Listen, PID: 9012}
	for _, test := range []struct {
		listener Listener
		want     string
	}{
		{full, `{"pid":5678,"processName":"redis-server","serviceLabel":"Redis","processIconType":"redis",` +
			`"address":"127.0.0.1","addressDescription":"Localhost only (IPv4)","port":6379}`},
		{
			Listener{
				PID: 9012, ProcessName: "docker-proxy", ServiceLabel: "postgres-db", ContainerName: "postgres-db",
				Address: netip.MustParseAddr("0.0.0.0"), AddressDescription: "Listening on all IPv4 interfaces", Port: 5432,
				ProcessIconType: "postgres", Command: `docker-proxy "x"`, NetNS: "blue", Socket: &detail,
			},
			`{"pid":9012,"processName":"docker-proxy","serviceLabel":"postgres-db","containerName":"postgres-db",` +
				`"processIconType":"postgres","address":"0.0.0.0","addressDescription":"Listening on all IPv4 interfaces",` +
				`"port":5432,"cmd":"docker-proxy \"x\"","netns":"blue","socket":` + string(detail.appendJSON(nil)) + `}`,
		},
		{
			Listener{ProcessName: "a", Address: netip.MustParseAddr("10.0.0.1"), Port: 1, ProcessIconType: "generic", NetNS: `b"c`},
			`{"processName":"a","processIconType":"generic","address":"10.0.0.1","addressDescription":"","port":1,"netns":"b\"c"}`,
		},
		{
			Listener{Address: netip.MustParseAddr("::"), AddressDescription: "Listening on all IPv6 interfaces", Port: 1, ProcessIconType: "generic"},
			`{"processName":"unknown","processIconType":"generic","address":"::",` +
				`"addressDescription":"Listening on all IPv6 interfaces","port":1}`,
		},
	} {
		if got := string(test.listener.AppendJSON(nil)); got != test.want {
			t.Errorf("listener\n%s, want\n%s", got, test.want)
		}
	}
}

func TestFlowJSON(t *testing.T) {
	for _, test := range []struct {
		flow Flow
		want string
	}{
		{
			Flow{FromPID: 1234, FromProcessName: "node", From: netip.MustParseAddrPort("127.0.0.1:45678"), To: netip.MustParseAddrPort("127.0.0.1:6379"), ToLabel: "Redis"},
			`{"fromPid":1234,"fromProcessName":"node","fromAddress":"127.0.0.1","fromPort":45678,"toAddress":"127.0.0.1","toPort":6379,"toLabel":"Redis"}`,
		},
		{
			Flow{From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("10.0.0.2:2"), ToLabel: "x", NetNS: "blue"},
			`{"fromAddress":"10.0.0.1","fromPort":1,"toAddress":"10.0.0.2","toPort":2,"toLabel":"x","netns":"blue"}`,
		},
		{
			Flow{From: netip.MustParseAddrPort("[::1]:1"), To: netip.MustParseAddrPort("[2001:db8::1]:2")},
			`{"fromAddress":"::1","fromPort":1,"toAddress":"2001:db8::1","toPort":2}`,
		},
	} {
		if got := string(test.flow.AppendJSON(nil)); got != test.want {
			t.Errorf("flow\n%s, want\n%s", got, test.want)
		}
	}
}

// addressDescription: the contract's words for every kind of bind.
func TestDescribeBind(t *testing.T) {
	const netns, eth0 = 5, 2
	for _, test := range []struct {
		address string
		v6only  bool
		device  uint32 // the interface that the socket itself is bound to
		want    string
	}{
		{address: "0.0.0.0", want: "Listening on all IPv4 interfaces"},
		{address: "127.0.0.1", want: "Localhost only (IPv4)"},
		{address: "127.1.2.3", want: "Localhost only (IPv4)"},
		{address: "::", want: "Listening on all IPv4 and IPv6 interfaces"},
		{address: "::", v6only: true, want: "Listening on all IPv6 interfaces"},
		{address: "::1", v6only: true, want: "Localhost only (IPv6)"},
		{address: "192.0.2.7", want: "Listening on eth0 only (IPv4)"},
		{address: "2001:db8::7", want: "Listening on eth0 only (IPv6)"},
		{address: "fe80::7", device: eth0, want: "Listening on eth0 only (IPv6 link-local)"},
		{address: "fe80::7", device: 9, want: "Listening on fe80::7 only (IPv6 link-local)"},
		{address: "192.0.2.8", want: "Listening on 192.0.2.8 only (IPv4)"},
		{address: "2001:db8::8", want: "Listening on 2001:db8::8 only (IPv6)"},
		{address: "0.0.0.0", device: eth0, want: "Listening on eth0 only (IPv4)"},
		{address: "::", device: eth0, want: "Listening on eth0 only (IPv4 and IPv6)"},
		{address: "::", device: 9, v6only: true, want: "Listening on one interface only (IPv6)"},
	} {
		addr := netip.MustParseAddr(test.address)
		s := Socket{State: Listen, Family: IPv6, NetNS: netns, LocalIP: addr.As16(), V6Only: test.v6only, Interface: test.device}
		if addr.Is4() {
			s.Family = IPv4
		}
		snap := snapshotOf(s, Known{Owner: NoOwner})
		snap.Zones = map[Interface]string{{netns, eth0}: "eth0", {netns + 1, 9}: "elsewhere"}
		snap.Bound = map[Address]uint32{
			{netns, netip.MustParseAddr("192.0.2.7").As16()}:     eth0,
			{netns, netip.MustParseAddr("2001:db8::7").As16()}:   eth0,
			{netns + 1, netip.MustParseAddr("192.0.2.8").As16()}: eth0,
			{netns, netip.MustParseAddr("2001:db8::8").As16()}:   7,
		}
		if got := snap.DescribeBind(0); got != test.want {
			t.Errorf("%s, IPv6 only %v, device %d: %q, want %q", test.address, test.v6only, test.device, got, test.want)
		}
	}
}

func TestContainerShown(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, test := range []struct {
		container Container
		want      string
	}{
		{Container{Runtime: "docker", ID: id, Name: "db"}, "db"},
		{Container{Runtime: "docker", ID: id}, ""},
		{Container{Runtime: "podman", ID: id}, ""},
		{Container{Runtime: "containerd", ID: id}, "0123456789ab"},
		{Container{Runtime: "cri-o", ID: id, Name: "web"}, "web"},
		{Container{Runtime: "kubernetes", ID: id, PodUID: "1"}, "0123456789ab"},
	} {
		if got := test.container.Shown(); got != test.want {
			t.Errorf("%+v: shown as %q, want %q", test.container, got, test.want)
		}
	}
}

// FuzzString holds that any name of a process becomes the JSON string that
// encoding/json reads back as it reads its own.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "node", `a"b\c`, "\x00\x1f\x7f", "ü\u2028<&>", "\xff\xc3", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q read back as %q, want %q", s, got, want)
		}
	})
}
