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
	for _, test := range []struct {
		listener Listener
		want     string
	}{
		{full, `{"pid":5678,"processName":"redis-server","serviceLabel":"Redis","processIconType":"redis",` +
			`"address":"127.0.0.1","addressDescription":"Localhost only (IPv4)","port":6379}`},
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
			Flow{1234, "node", netip.MustParseAddrPort("127.0.0.1:45678"), netip.MustParseAddrPort("127.0.0.1:6379"), "Redis", ""},
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

func TestDescribeBind(t *testing.T) {
	for _, test := range []struct {
		address string
		v6only  bool
		want    string
	}{
		{"0.0.0.0", false, "Listening on all IPv4 interfaces"},
		{"127.0.0.1", false, "Localhost only (IPv4)"},
		{"127.1.2.3", false, "Localhost only (IPv4)"},
		{"::", false, "Listening on all IPv4 and IPv6 interfaces"},
		{"::", true, "Listening on all IPv6 interfaces"},
		{"::1", true, "Localhost only (IPv6)"},
		{"192.0.2.7", false, "Listening on 192.0.2.7 only (IPv4)"},
		{"2001:db8::7", true, "Listening on 2001:db8::7 only (IPv6)"},
	} {
		if got := DescribeBind(netip.MustParseAddr(test.address), test.v6only); got != test.want {
			t.Errorf("%s, IPv6 only %v: %q, want %q", test.address, test.v6only, got, test.want)
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
