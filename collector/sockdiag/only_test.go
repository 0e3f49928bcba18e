//go:build linux

package sockdiag

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/connectionsd/connectionsd/model"
)

var errBytecode = errors.New("bytecode that the kernel refuses")

// runs runs bytecode on a socket as the kernel does, and checks it as the kernel does before it takes it: every step goes
// at least behind its operand and at most four bytes behind the end.
func runs(code []byte, s *model.Socket) (taken bool, err error) {
	for at := 0; ; {
		rest := len(code) - at
		if rest <= 0 {
			return rest == 0, nil
		}
		op, yes, no := code[at], int(code[at+1]), int(binary.NativeEndian.Uint16(code[at+2:]))
		least, holds := sizeofOp, false
		operand := code[at+sizeofOp:]
		switch op {
		case opJump:
		case opLocalPort:
			least, holds = 2*sizeofOp, binary.NativeEndian.Uint16(operand[2:]) == s.LocalPort
		case opRemotePort:
			least, holds = 2*sizeofOp, binary.NativeEndian.Uint16(operand[2:]) == s.RemotePort
		case opLocalPortGE:
			least, holds = 2*sizeofOp, s.LocalPort >= binary.NativeEndian.Uint16(operand[2:])
		case opLocalPortLE:
			least, holds = 2*sizeofOp, s.LocalPort <= binary.NativeEndian.Uint16(operand[2:])
		case opRemotePortGE:
			least, holds = 2*sizeofOp, s.RemotePort >= binary.NativeEndian.Uint16(operand[2:])
		case opRemotePortLE:
			least, holds = 2*sizeofOp, s.RemotePort <= binary.NativeEndian.Uint16(operand[2:])
		case opRemoteAddress:
			length := map[byte]int{2: 4, 10: 16}[operand[0]]
			if length == 0 || int32(binary.NativeEndian.Uint32(operand[4:])) != -1 {
				return false, errBytecode
			}
			least = sizeofOp + 8 + length
			addr, _ := netip.AddrFromSlice(operand[8 : 8+length])
			holds = netip.PrefixFrom(addr, int(operand[1])).Contains(s.Remote().Addr())
		default:
			return false, errBytecode
		}
		if yes < least || yes > rest || yes%4 != 0 || no < least || no > rest+sizeofOp || no%4 != 0 {
			return false, errBytecode
		}
		if holds {
			at += yes
		} else {
			at += no
		}
	}
}

// Whatever a filter says, the kernel is asked for the sockets that the filter selects, and no others.
func TestOnlyIsTheFilter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	port := func() uint16 { return uint16(1 + random.IntN(4)) }
	portsOf := func() (list []uint16) {
		for range random.IntN(4) {
			list = append(list, port())
		}
		return list
	}
	addresses := []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("198.51.100.1"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:8000::1"), netip.MustParseAddr("::1"),
	}
	networks := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("2001:db8::/33"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("::/0"),
	}
	taken := 0
	for range 20000 {
		f := model.Filter{LocalPorts: portsOf(), RemotePorts: portsOf()}
		for range random.IntN(3) {
			f.RemoteAddresses = append(f.RemoteAddresses, networks[random.IntN(len(networks))])
		}
		s := model.Socket{
			State: model.Established, Family: model.IPv6, LocalPort: port(), RemotePort: port(),
			RemoteIP: addresses[random.IntN(len(addresses))].As16(),
		}
		want := f.Match(&model.Snapshot{Sockets: []model.Socket{s}, Known: []model.Known{{}}}, 0)
		only := NewOnly(&f)
		got, err := runs([]byte(only.bytecode), &s)
		got = got && (only.localPort == 0 || only.localPort == s.LocalPort) && (only.remotePort == 0 || only.remotePort == s.RemotePort)
		if err != nil || got != want {
			t.Fatalf("%+v on %v:%d - %v: taken %v, error %v, want %v", f, s.LocalIP, s.LocalPort, s.Remote(), got, err, want)
		}
		if got {
			taken++
		}
	}
	if taken < 1000 || taken > 19000 {
		t.Errorf("%d of 20000 were taken: the test shows little", taken)
	}
}

func TestOnly(t *testing.T) {
	incoming := true
	if o := NewOnly(&model.Filter{PID: 7, Process: "x", Incoming: &incoming}); !o.All() {
		t.Errorf("%+v for what the kernel cannot tell, want all", o)
	}
	if o := NewOnly(&model.Filter{States: model.States(model.SynSent)}); o.All() || o.states != model.States(model.SynSent) || o.bytecode != "" {
		t.Errorf("%+v for one state", o)
	}
	if o := NewOnly(&model.Filter{LocalPorts: []uint16{1}}); o.states.Has(model.Listen) || !o.states.Has(model.SynRecv) {
		t.Errorf("states %b for a port, want those of connections", o.states)
	}
	for _, test := range []struct {
		filter model.Filter
		want   bool
	}{
		{model.Filter{LocalPorts: []uint16{1}}, true},
		{model.Filter{LocalPorts: []uint16{1}, States: model.States(model.Established)}, true},
		{model.Filter{LocalPorts: []uint16{1, 2}}, false},
		{model.Filter{RemotePorts: []uint16{1}}, false},
		{model.Filter{LocalPorts: []uint16{1}, RemotePorts: []uint16{1}}, false},
		{model.Filter{LocalPorts: []uint16{1}, RemoteAddresses: []netip.Prefix{netip.MustParsePrefix("::1/128")}}, false},
		{model.Filter{States: model.States(model.Established)}, false},
	} {
		o := NewOnly(&test.filter)
		both, ok := o.WithListeners()
		if ok != test.want || both.HasListeners() != test.want || o.HasListeners() || both.states.Has(model.Listen) != test.want || (both == o) == test.want {
			t.Errorf("%+v with listeners: %+v, %v, want %v", test.filter, both, ok, test.want)
		}
	}
	if !OnlyListeners().HasListeners() || !(Only{}).HasListeners() {
		t.Error("those that listen alone, or all sockets, have none that listen")
	}
	first, second := NewOnly(&model.Filter{LocalPorts: []uint16{1, 2}}), NewOnly(&model.Filter{LocalPorts: []uint16{1, 2}})
	if first != second || first == NewOnly(&model.Filter{RemotePorts: []uint16{1, 2}}) {
		t.Error("what asks for the same is not equal, or what does not is")
	}
}

// BenchmarkNewOnly is what a request with a filter costs before the kernel is asked.
func BenchmarkNewOnly(b *testing.B) {
	f := model.Filter{LocalPorts: make([]uint16, 256), States: model.States(model.Established)}
	b.ReportAllocs()
	for b.Loop() {
		NewOnly(&f)
	}
}
