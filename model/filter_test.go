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
	}, Known{Incoming: true, Owner: 0}, Owner{PID: 7, Name: "monero-wallet-r"})
	yes, no := true, false
	for name, test := range map[string]struct {
		filter Filter
		want   bool
	}{
		"none":                       {Filter{}, true},
		"its state":                  {Filter{States: States(SynSent, Established)}, true},
		"another state":              {Filter{States: States(SynSent)}, false},
		"its direction":              {Filter{Incoming: &yes}, true},
		"the other direction":        {Filter{Incoming: &no}, false},
		"its local port":             {Filter{LocalPorts: []uint16{1, 18080}}, true},
		"another local port":         {Filter{LocalPorts: []uint16{50000}}, false},
		"its remote port":            {Filter{RemotePorts: []uint16{50000}}, true},
		"another remote port":        {Filter{RemotePorts: []uint16{18080}}, false},
		"its network":                {Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("192.0.2.0/24")}}, true},
		"another network":            {Filter{RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("192.0.3.0/24")}}, false},
		"its owner":                  {Filter{PID: 7}, true},
		"another owner":              {Filter{PID: 8}, false},
		"its process":                {Filter{Process: "monero-wallet-r"}, true},
		"its process in full":        {Filter{Process: "monero-wallet-rpc"}, true},
		"a part of its process":      {Filter{Process: "monero-wallet-"}, false},
		"another process":            {Filter{Process: "monerod"}, false},
		"its owner, not its process": {Filter{PID: 7, Process: "monerod"}, false},
		"all of it":                  {Filter{States: States(Established), Incoming: &yes, LocalPorts: []uint16{18080}, PID: 7}, true},
		"all of it but for one":      {Filter{States: States(Established), Incoming: &yes, LocalPorts: []uint16{18081}, PID: 7}, false},
	} {
		if got := test.filter.Match(snap, 0); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	noOwner := snapshotOf(Socket{State: Established}, Known{Owner: NoOwner})
	if f := (Filter{PID: 7}); f.Match(noOwner, 0) {
		t.Error("a socket without an owner matches one")
	}
	if f := (Filter{Process: "x"}); f.Match(noOwner, 0) {
		t.Error("a socket without an owner matches a process")
	}
	for _, s := range []TCPState{Listen, TimeWait, Close} {
		if f := (Filter{}); f.Match(snapshotOf(Socket{State: s}, Known{}), 0) {
			t.Errorf("a socket in %s is taken for a connection", s)
		}
	}
}

// Of a listener the local port and the owners count, of which it can have several.
func TestFilterOfListeners(t *testing.T) {
	no := false
	snap := snapshotOf(Socket{State: Listen, LocalPort: 80, Inode: 6}, Known{Owner: 0}, Owner{PID: 7, Name: "nginx"}, Owner{PID: 8, Name: "worker"}, Owner{PID: 9, Name: "other"})
	snap.Shared = []SharedListener{{Inode: 6, Owner: 1}, {Inode: 5, Owner: 2}}
	for name, test := range map[string]struct {
		filter Filter
		want   bool
	}{
		"none":               {Filter{}, true},
		"its port":           {Filter{LocalPorts: []uint16{80}}, true},
		"another port":       {Filter{LocalPorts: []uint16{81}}, false},
		"its first owner":    {Filter{PID: 7}, true},
		"its second owner":   {Filter{PID: 8, Process: "worker"}, true},
		"another's owner":    {Filter{PID: 9}, false},
		"two owners' traits": {Filter{PID: 7, Process: "worker"}, false},
		"what only connections have": {Filter{
			Incoming: &no, States: States(SynSent), RemotePorts: []uint16{1}, RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		}, true},
	} {
		if got := test.filter.MatchListener(snap, 0); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
		if test.filter.Match(snap, 0) {
			t.Errorf("%s: a listener is taken for a connection", name)
		}
	}
	if f := (Filter{}); f.MatchListener(snapshotOf(Socket{State: Established}, Known{}), 0) {
		t.Error("a connection is taken for a listener")
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
