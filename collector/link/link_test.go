//go:build linux

package link

import (
	"net"
	"net/netip"
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func TestLinks(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	links := New(Dial)
	defer links.Close()
	name, err := links.Name(uint32(lo.Index))
	if err != nil || name != "lo" {
		t.Errorf("index %d is called %q, error %v, want lo", lo.Index, name, err)
	}
	if _, err := links.Name(1 << 20); err == nil {
		t.Error("an index that no interface has was told without an error")
	}
	got := make(map[netip.Addr]uint32)
	if err := links.Addresses(func(ip [16]byte, index uint32) { got[netip.AddrFrom16(ip).Unmap()] = index }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1", "::1"} {
		if got[netip.MustParseAddr(want)] != uint32(lo.Index) {
			t.Errorf("%s is at the interface with index %d, want %d: %v", want, got[netip.MustParseAddr(want)], lo.Index, got)
		}
	}
}

// It goes on after a close, with a socket of its own again.
func TestLinksReopen(t *testing.T) {
	links := New(Dial)
	for range 2 {
		if name, err := links.Name(1); err != nil || name != "lo" {
			t.Errorf("index 1 is called %q, error %v, want lo", name, err)
		}
		links.Close()
	}
}
