package model

import (
	"net/netip"
	"testing"
)

func TestEndpoints(t *testing.T) {
	at := func(ip string) Endpoint { return Endpoint{7, netip.MustParseAddr(ip).As16(), 80} }
	for ip, want := range map[string]string{
		"192.0.2.1": "0.0.0.0", "::ffff:192.0.2.1": "0.0.0.0", "0.0.0.0": "0.0.0.0", "2001:db8::1": "::", "::1": "::", "::": "::",
	} {
		if got := at(ip).Wildcard(); got != at(want) {
			t.Errorf("wildcard of %s: %v, want %s", ip, netip.AddrFrom16(got.IP), want)
		}
	}
	listener := Socket{NetNS: 7, State: Listen, Family: IPv6, LocalPort: 80}
	if got := listener.LocalEndpoint(); got != at("::") {
		t.Errorf("local endpoint %+v", got)
	}
	if got, ok := listener.DualStack(); !ok || got != at("0.0.0.0") {
		t.Errorf("dual-stack listener: %+v, %v", got, ok)
	}
	for what, change := range map[string]func(*Socket){
		"IPv6 only":      func(s *Socket) { s.V6Only = true },
		"one address":    func(s *Socket) { s.LocalIP = at("2001:db8::1").IP },
		"IPv4":           func(s *Socket) { s.Family, s.LocalIP = IPv4, anyIPv4 },
		"not a listener": func(s *Socket) { s.State = Established },
	} {
		s := listener
		change(&s)
		if got, ok := s.DualStack(); ok {
			t.Errorf("%s: takes connections to %+v too", what, got)
		}
	}
}
