//go:build linux

package sockdiag

import (
	"math/rand/v2"
	"testing"

	"github.com/connectionsd/connectionsd/model"
)

// takes reports whether the kernel gives a socket to who asks for o.
func (o Only) takes(t *testing.T, s *model.Socket) bool {
	t.Helper()
	states := o.states
	if states == 0 {
		states = allStates
	}
	taken, err := runs([]byte(o.bytecode), s)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return taken && states.Has(s.State)
}

// Whatever the ports are, each connection is in one of the parts, and so is each socket that listens in none; neither
// part has more than two thirds where the parts are said to be worth it.
func TestEachConnectionIsInOnePart(t *testing.T) {
	ephemeral := func(random *rand.Rand) uint16 { return uint16(32768 + random.IntN(28232)) }
	whichever := func(random *rand.Rand) uint16 { return uint16(random.IntN(1 << 16)) }
	as := func(port uint16) func(*rand.Rand) uint16 { return func(*rand.Rand) uint16 { return port } }
	for name, test := range map[string]struct {
		local, remote func(*rand.Rand) uint16 // of those that this host has opened, or of all
		accepted      float64                 // which share has them the other way round
		parted        bool
	}{
		"a server":             {ephemeral, as(443), 1, true},
		"a client":             {ephemeral, as(443), 0, true},
		"a proxy":              {ephemeral, as(8080), .5, true},
		"a proxy, mostly idle": {ephemeral, as(8080), .9, true},
		"a node":               {whichever, whichever, 0, true},
		"the highest port":     {ephemeral, as(65535), .5, true},
		"the lowest":           {as(1), whichever, .2, true},
		"two ports":            {as(1), as(65535), .5, true},
		"two ports, one rare":  {as(1), as(65535), .1, false},
		"a proxy whose port is among those of its connections": {ephemeral, as(45000), .5, true},
		"a node whose port is":                                 {whichever, as(45000), .4, true},
		"all have the same":                                    {as(7000), as(7001), 0, false},
		"both ends have port 1":                                {as(1), as(1), 0, false},
		"both the highest":                                     {as(65535), as(65535), 0, false},
		"both have none, closed":                               {as(0), as(0), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			sockets := make([]model.Socket, 10000)
			for i := range sockets {
				s := &sockets[i]
				s.State, s.LocalPort, s.RemotePort = model.Established, test.local(random), test.remote(random)
				if random.Float64() < test.accepted {
					s.LocalPort, s.RemotePort = s.RemotePort, s.LocalPort
				}
			}
			by := PartingOf(sockets)
			if got := by != (Parting{}); got != test.parted {
				t.Fatalf("%+v, want it parted: %v", by, test.parted)
			}
			if !test.parted {
				return
			}
			parts := newParts(Only{}.Parted(by))
			for _, port := range []uint16{0, 1, by.from - 1, by.from, by.to, by.to + 1, 1<<16 - 1} {
				sockets = append(sockets, model.Socket{State: model.SynRecv, LocalPort: port, RemotePort: port})
			}
			n := 0
			for i := range sockets {
				s := &sockets[i]
				inWithin := parts.within.takes(t, s)
				if inWithin == parts.others.takes(t, s) || parts.listeners.takes(t, s) {
					t.Fatalf("local port %d, remote port %d, parted by %+v: in both parts or in none, or it listens", s.LocalPort, s.RemotePort, by)
				}
				if inWithin {
					n++
				}
				s.State = model.Listen
				if parts.within.takes(t, s) || parts.others.takes(t, s) || !parts.listeners.takes(t, s) {
					t.Fatalf("one that listens on port %d is in a part, or not among those that listen", s.LocalPort)
				}
			}
			// The sample is of 512: the parts differ from what it says by some hundredths.
			if share := float64(n) / float64(len(sockets)); share < 1-maxPart-.05 || share > maxPart+.05 {
				t.Errorf("one part has %.2f of the sockets, want about half", share)
			}
		})
	}
}

func TestPartedIsOfAllSockets(t *testing.T) {
	by := PartingOf([]model.Socket{{LocalPort: 1, RemotePort: 2}, {LocalPort: 2, RemotePort: 1}})
	if by == (Parting{}) {
		t.Fatal("two sockets are not divided")
	}
	if o := (Only{}).WithoutInfo().Parted(by); !o.All() || o.HasInfo() || o == (Only{}).WithoutInfo() {
		t.Errorf("%+v, want all without tcp_info, in parts", o)
	}
	for _, o := range []Only{NewOnly(&model.Filter{LocalPorts: []uint16{1}}), OnlyListeners()} {
		if got := o.Parted(by); got != o {
			t.Errorf("%+v, want %+v as it was", got, o)
		}
	}
	if PartingOf(nil) != (Parting{}) {
		t.Error("no socket is divided")
	}
	parts := newParts((Only{}).WithoutInfo().Parted(by))
	for _, o := range []Only{parts.listeners, parts.within, parts.others} {
		if o.HasInfo() || o.parting != (Parting{}) {
			t.Errorf("%+v, want no tcp_info, and no parts of it", o)
		}
	}
}

// A Parting stays as long as it divides the connections about as well, so that the kernel is asked in the same words.
func TestPartingAnew(t *testing.T) {
	sockets := func(from, to int) (list []model.Socket) {
		for port := from; port < to; port++ {
			list = append(list, model.Socket{State: model.Established, LocalPort: 443, RemotePort: uint16(port)})
		}
		return list
	}
	all := sockets(10000, 20000)
	by := PartingOf(all)
	if anew := (Parting{}).Anew(all); by == (Parting{}) || anew != by {
		t.Fatalf("%+v and, where there was none, %+v", by, anew)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if anew := by.Anew(all); anew != by {
		t.Errorf("%+v in another order, want %+v", anew, by)
	}
	if anew := by.Anew(sockets(10000, 18000)); anew == by || anew == (Parting{}) || anew.from < 13000 || anew.from > 15000 {
		t.Errorf("%+v where three eighths are within %+v, want another", anew, by)
	}
	if anew := by.Anew(sockets(10000, 10001)); anew != (Parting{}) {
		t.Errorf("%+v of one connection", anew)
	}
	if anew := by.Anew(nil); anew != (Parting{}) {
		t.Errorf("%+v of none", anew)
	}
}

func TestKernelReleases(t *testing.T) {
	for release, want := range map[string]bool{
		"6.9.0": true, "6.9.0-rc1": true, "6.10.3-arch1-1": true, "6.18.44": true, "7.0.0": true, "10.1": true, "6.9": true,
		"6.8.0-45-generic": false, "6.1.0-28-amd64": false, "5.15.167": false, "4.9.337": false, "3.10.0-1160.el7.x86_64": false,
		"": false, "6": false, "linux": false, "-6.9": false,
	} {
		if got := isAtLeast(release, 6, 9); got != want {
			t.Errorf("%q is 6.9 or later: %v, want %v", release, got, want)
		}
	}
}
