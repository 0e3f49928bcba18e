package model

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asRead is a text as it comes back from encoding/json, which has U+FFFD for what is no UTF-8.
func asRead(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read string
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// Whatever interfaces, processes, namespaces and containers are called, the records are JSON that says it, and addresses
// stay addresses: an odd name of an interface gives way to its number.
func FuzzNames(f *testing.F) {
	f.Add("eth0", "monerod", "blue", "redis", []byte("\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add(`a"b\c`, "\x00\xff", "net:[1]", "\"", []byte("\xfe\xbf\xff"))
	f.Add("a%b", "\u2028", "\n", "{}", []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"))
	f.Add("", "", "", "", []byte{})
	f.Add("eth0.1@if2", "a]b", "x", "y", []byte("\x20\x01\x0d\xb8"))
	f.Fuzz(func(t *testing.T, device, process, namespace, label string, ip []byte) {
		sock := Socket{Family: IPv6, State: Established, Interface: 7, NetNS: 2, LocalPort: 1, RemotePort: 65535, InfoLen: 248}
		copy(sock.LocalIP[:], ip)
		copy(sock.RemoteIP[:], ip)
		snap := &Snapshot{
			NetNS: 1, NetNSLabels: map[uint32]string{2: namespace}, Zones: map[Interface]string{{2, 7}: device},
			Sockets: []Socket{sock}, Known: []Known{{Owner: 0, Container: 0}}, Owners: []Owner{{PID: 5, Name: process, Command: label}},
			Containers: []Container{{Runtime: "docker", ID: "0", Name: label}},
		}
		detail := snap.Detail(0)
		var socket struct {
			LocalAddress  string `json:"local_address"`
			ProcessName   string `json:"process_name"`
			ContainerName string `json:"container_name"`
		}
		var connection struct{ Address, Host, IP, Port string }
		var flow struct{ FromAddress, ToAddress, FromProcessName, ToLabel, NetNS string }
		var listener struct{ Address, AddressDescription, ProcessName, ServiceLabel, ContainerName, ProcessIconType, Cmd, NetNS string }
		read := func(b []byte, into ...any) {
			t.Helper()
			for _, v := range into {
				if err := json.Unmarshal(b, v); err != nil {
					t.Fatalf("%s: %v", b, err)
				}
			}
		}
		record := Connection{Remote: snap.Remote(0), State: sock.State.PeerState(), Socket: &detail}
		read(record.AppendJSON(nil), &connection, &struct{ Socket any }{&socket})
		read((&Flow{FromPID: 5, FromProcessName: process, From: snap.Local(0), To: snap.Remote(0), ToLabel: label, NetNS: snap.NetNSLabel(0), Socket: &detail}).AppendJSON(nil), &flow)
		read((&Listener{
			PID: 5, ProcessName: process, ServiceLabel: label, ContainerName: snap.Container(0).Shown(), Address: snap.Local(0).Addr(), ProcessIconType: label,
			AddressDescription: snap.DescribeBind(0), Port: 1, Command: label, NetNS: snap.NetNSLabel(0), Socket: &detail,
		}).AppendJSON(nil), &listener)

		shown, named := asRead(t, label), asRead(t, process)
		if diff := cmp.Diff([]string{named, shown, shown, named, shown, shown, shown, shown}, []string{
			socket.ProcessName, socket.ContainerName, flow.ToLabel, flow.FromProcessName, listener.ServiceLabel, listener.ContainerName, listener.ProcessIconType, listener.Cmd,
		}); diff != "" {
			t.Errorf("texts (-want +got):\n%s", diff)
		}
		if want := asRead(t, namespace); flow.NetNS != want || listener.NetNS != want {
			t.Errorf("namespaces %q and %q, want %q", flow.NetNS, listener.NetNS, want)
		}
		if listener.ProcessName != named && (named != "" || listener.ProcessName != "unknown") {
			t.Errorf("process %q, want %q", listener.ProcessName, named)
		}
		for _, got := range []string{connection.Host, connection.IP, flow.FromAddress, flow.ToAddress, listener.Address} {
			addr, err := netip.ParseAddr(got)
			if err != nil {
				t.Fatalf("%q is no address: %v", got, err)
			}
			if addr != snap.Remote(0).Addr() || addr.WithZone("").As16() != sock.RemoteIP {
				t.Errorf("address %v, want %v", addr, snap.Remote(0).Addr())
			}
			if zone := addr.Zone(); zone != "" && zone != device && zone != "7" || (zone != "") != addr.IsLinkLocalUnicast() {
				t.Errorf("address %v of the interface %q", addr, device)
			}
		}
		for got, want := range map[string]netip.AddrPort{connection.Address: snap.Remote(0), socket.LocalAddress: snap.Local(0)} {
			if end, err := netip.ParseAddrPort(got); err != nil || end != want {
				t.Errorf("%q: %v, error %v, want %v", got, end, err, want)
			}
		}
	})
}
