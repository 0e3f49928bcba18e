package model

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	snap := snapshotOf(Socket{
		State: Established, Family: IPv6, LocalPort: 18080, RemotePort: 50000,
		RemoteIP: netip.MustParseAddr("::ffff:192.0.2.1").As16(),
	}, Known{Incoming: true, Owner: 0}, Owner{PID: 7, Name: "monerod"})
	yes, no := true, false
	for name, test := range map[string]struct {
		filter Filter
		want   bool
	}{
		"none":                  {Filter{}, true},
		"its state":             {Filter{States: States(SynSent, Established)}, true},
		"another state":         {Filter{States: States(SynSent)}, false},
		"its direction":         {Filter{Incoming: &yes}, true},
		"the other direction":   {Filter{Incoming: &no}, false},
		"its local port":        {Filter{LocalPorts: []uint16{1, 18080}}, true},
		"another local port":    {Filter{LocalPorts: []uint16{50000}}, false},
		"its remote port":       {Filter{RemotePorts: []uint16{50000}}, true},
		"another remote port":   {Filter{RemotePorts: []uint16{18080}}, false},
		"its network":           {Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("192.0.2.0/24")}}, true},
		"another network":       {Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("192.0.3.0/24")}}, false},
		"its owner":             {Filter{PID: 7}, true},
		"another owner":         {Filter{PID: 8}, false},
		"all of it":             {Filter{States: States(Established), Incoming: &yes, LocalPorts: []uint16{18080}, PID: 7}, true},
		"all of it but for one": {Filter{States: States(Established), Incoming: &yes, LocalPorts: []uint16{18081}, PID: 7}, false},
	} {
		if got := test.filter.Match(snap, 0); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	noOwner := snapshotOf(Socket{State: Established}, Known{Owner: NoOwner})
	if f := (Filter{PID: 7}); f.Match(noOwner, 0) {
		t.Error("a socket without an owner matches one")
	}
	for _, s := range []TCPState{Listen, TimeWait, Close} {
		if f := (Filter{}); f.Match(snapshotOf(Socket{State: s}, Known{}), 0) {
			t.Errorf("a socket in %s is taken for a connection", s)
		}
	}
}

func TestParseConnectionStates(t *testing.T) {
	for name, want := range map[string]StateSet{
		"ESTABLISHED":      States(Established),
		"established":      States(Established),
		"SYN_SENT":         States(SynSent),
		"syn-recv":         States(SynRecv),
		"FIN_WAIT1":        States(FinWait1),
		"fin-wait2":        States(FinWait2),
		"CLOSE_WAIT":       States(CloseWait),
		"LAST_ACK":         States(LastAck),
		"CLOSING":          States(Closing),
		"normal":           States(Established),
		"before_handshake": States(SynSent, SynRecv),
		"standby":          States(FinWait1, FinWait2, CloseWait, LastAck, Closing),
	} {
		got, err := ParseConnectionStates(name)
		if err != nil || got != want {
			t.Errorf("%s: %b, %v, want %b", name, got, err, want)
		}
	}
	for _, name := range []string{"", "LISTEN", "TIME_WAIT", "CLOSE", "ESTAB", "synchronizing", "TCP_STATE_0", "LAST_AC\u212a", "\u017fyn_sent"} {
		_, err := ParseConnectionStates(name)
		if err == nil || !strings.HasSuffix(err.Error(), "is no state of a connection: want one of ESTABLISHED, SYN_SENT, SYN_RECV, "+
			"FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING, before_handshake, normal, standby") {
			t.Errorf("%q: error %v", name, err)
		}
	}
}
