//go:build linux

package collector_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// conversation is an established connection as a double of the kernel tells it.
func conversation(cookie uint64, change func(*model.Socket)) model.Socket {
	s := model.Socket{
		Cookie: cookie, Family: model.IPv4, State: model.Established, InfoLen: 248,
		LocalIP:   netip.MustParseAddr("192.0.2.1").As16(),
		RemoteIP:  netip.MustParseAddr("198.51.100.2").As16(),
		LocalPort: 18080, RemotePort: 49152,
	}
	if change != nil {
		change(&s)
	}
	return s
}

// scripted runs a collector on dumps that the test makes up, in a bubble where
// time passes only when the test lets it. at first are the sockets that are
// older than the collector.
func scripted(t *testing.T, atFirst []model.Socket, test func(show func(...model.Socket), look func() *model.Snapshot)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var kernel sockdiagtest.Kernel
		show := func(sockets ...model.Socket) {
			var payloads [][]byte
			for _, s := range sockets {
				payloads = append(payloads, sockdiagtest.Payload(s))
			}
			kernel.Show(sockdiagtest.Sockets(payloads...))
		}
		show(atFirst...)
		began := time.Now()
		clock := func() time.Duration { return time.Since(began) }
		c := collector.New(collector.Options{
			Dumper:      sockdiag.New(kernel.Dial, clock, 1),
			Self:        1,
			Owners:      owner.NewFinder("/proc"),
			Clock:       clock,
			IDs:         model.NewConnectionIDs([16]byte{}),
			OnDumpError: func(err error) { t.Errorf("sample: %v", err) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		var releases []func()
		defer func() {
			for _, release := range releases {
				release()
			}
		}()
		test(show, func() *model.Snapshot {
			snap, release, err := c.Snapshot(ctx, collector.Want{})
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
			return snap
		})
	})
}

func TestAge(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name   string
		before time.Duration // the collector runs for so long before the socket is there
		socket func(*model.Socket)
		after  time.Duration // and so long before it is looked at
		want   time.Duration
		exact  bool
	}{
		{
			name: "opened while the collector runs", before: 10 * second, after: 90 * time.Minute,
			want: 90 * time.Minute, exact: true,
		},
		{
			name: "older than the collector: the longer of the idle times is a floor", after: 5 * second,
			socket: func(s *model.Socket) {
				s.LastDataSent, s.LastDataRecv = 60_000, 90_000
				s.BytesSent, s.BytesReceived = 10, 10
			},
			want: 95 * second,
		},
		{
			name: "older than the collector, silent since the handshake: the idle time is the age", after: 5 * second,
			socket: func(s *model.Socket) { s.LastDataSent, s.LastDataRecv = 90_000, 90_000 },
			want:   95 * second, exact: true,
		},
		{
			name: "a handshake that is not done has no idle times", before: 10 * second, after: 3 * second,
			socket: func(s *model.Socket) {
				s.State = model.SynSent
				s.LastDataSent, s.LastDataRecv = 4_000_000_000, 4_000_000_000
			},
			want: 3 * second, exact: true,
		},
		{
			name: "the same, older than the collector", after: 3 * second,
			socket: func(s *model.Socket) {
				s.State = model.SynSent
				s.LastDataSent, s.LastDataRecv = 4_000_000_000, 4_000_000_000
			},
			want: 3 * second,
		},
		{
			name: "a kernel that tells no times", after: 3 * second,
			socket: func(s *model.Socket) { s.InfoLen = 0 },
			want:   3 * second,
		},
		{
			name: "connected to itself, nothing received: only the send time counts", after: 3 * second,
			socket: func(s *model.Socket) {
				s.RemoteIP, s.RemotePort = s.LocalIP, s.LocalPort
				s.LastDataSent, s.LastDataRecv = 7_000, 4_000_000_000
			},
			want: 10 * second, exact: true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := conversation(1, test.socket)
			var atFirst []model.Socket
			if test.before == 0 {
				atFirst = []model.Socket{s}
			}
			scripted(t, atFirst, func(show func(...model.Socket), look func() *model.Snapshot) {
				look()
				time.Sleep(test.before)
				show(s)
				look()
				time.Sleep(test.after)
				known := look().Known[0]
				if known.Age != test.want || known.AgeExact != test.exact {
					t.Errorf("age %v, exact %v, want %v, %v", known.Age, known.AgeExact, test.want, test.exact)
				}
			})
		})
	}
}

// A socket that comes between two dumps of the sampler is at most their
// distance older than its first sight says.
func TestAgeIsKeptByTheSampler(t *testing.T) {
	scripted(t, nil, func(show func(...model.Socket), look func() *model.Snapshot) {
		time.Sleep(10*time.Second + 300*time.Millisecond)
		show(conversation(1, func(s *model.Socket) { s.BytesSent = 5 }))
		time.Sleep(time.Hour)
		known := look().Known[0]
		if want := time.Hour - 200*time.Millisecond; known.Age != want || !known.AgeExact {
			t.Errorf("age %v, exact %v, want %v, true", known.Age, known.AgeExact, want)
		}
	})
}

func TestRates(t *testing.T) {
	const kB = 1024
	counters := func(recv, sent uint64) model.Socket {
		return conversation(1, func(s *model.Socket) { s.BytesReceived, s.BytesSent, s.BytesAcked = recv, sent, sent })
	}
	scripted(t, []model.Socket{counters(1000*kB, 500*kB)}, func(show func(...model.Socket), look func() *model.Snapshot) {
		rates := func(what string, download, upload uint64) {
			t.Helper()
			if got := look().Known[0]; got.Download != download || got.Upload != upload {
				t.Errorf("%s: download %d, upload %d, want %d, %d", what, got.Download, got.Upload, download, upload)
			}
		}
		rates("older than the collector, first sight", 0, 0)
		time.Sleep(2 * time.Second)
		rates("at rest", 0, 0)
		show(counters(1100*kB, 520*kB))
		time.Sleep(500 * time.Millisecond)
		rates("moving, over the time since the sample before", 100*kB*1000/1500, 20*kB*1000/1500)
		time.Sleep(3 * time.Second)
		rates("at rest again", 0, 0)
		show(counters(0, 0))
		rates("a remnant without counters", 0, 0)
	})
	scripted(t, nil, func(show func(...model.Socket), look func() *model.Snapshot) {
		time.Sleep(10*time.Second + 500*time.Millisecond)
		show(counters(300*kB, 100*kB))
		if got := look().Known[0]; got.Download != 300*kB || got.Upload != 100*kB {
			t.Errorf("a new socket: download %d, upload %d: want what it carried since it was not there, as of one second", got.Download, got.Upload)
		}
	})
}

// What is remembered of a socket is gone soon after it: a cookie that comes again,
// as only a double's can, is a new socket.
func TestHistoryForgets(t *testing.T) {
	scripted(t, nil, func(show func(...model.Socket), look func() *model.Snapshot) {
		look()
		show(conversation(1, nil))
		look()
		time.Sleep(time.Minute)
		if got := look().Known[0].Age; got != time.Minute {
			t.Errorf("age %v, want 1m", got)
		}
		show()
		look()
		look()
		show(conversation(1, nil))
		if got := look().Known[0].Age; got != 0 {
			t.Errorf("age %v of a new socket, want 0", got)
		}
	})
}

// A dump can pass over a socket that lives: the next one that has it finds
// what is known of it where it was.
func TestHistorySurvivesADumpThatPassesASocketOver(t *testing.T) {
	busy := conversation(1, func(s *model.Socket) { s.BytesReceived, s.BytesSent, s.BytesAcked = 1<<30, 1<<30, 1<<30 })
	scripted(t, nil, func(show func(...model.Socket), look func() *model.Snapshot) {
		look()
		show(busy)
		look()
		time.Sleep(2*time.Hour + 100*time.Millisecond) // between two dumps of the sampler
		show()
		look()
		show(busy)
		known := look().Known[0]
		if known.Age != 2*time.Hour+100*time.Millisecond || !known.AgeExact || known.Download != 0 || known.Upload != 0 {
			t.Errorf("age %v, exact %v, download %d, upload %d, want 2h0m0.1s, true, 0, 0", known.Age, known.AgeExact, known.Download, known.Upload)
		}
	})
}

// Link-local ends are told with the name of their interface, here the first of
// this test's own namespace, and others without.
func TestZones(t *testing.T) {
	linkLocal := conversation(1, func(s *model.Socket) {
		s.Family, s.Interface = model.IPv6, 1
		s.LocalIP = netip.MustParseAddr("fe80::1").As16()
		s.RemoteIP = netip.MustParseAddr("fe80::2").As16()
	})
	gone := linkLocal
	gone.Cookie, gone.Interface = 2, 4711
	global := linkLocal
	global.Cookie = 3
	global.LocalIP = netip.MustParseAddr("2001:db8::1").As16()
	global.RemoteIP = netip.MustParseAddr("2001:db8::2").As16()
	scripted(t, []model.Socket{linkLocal, gone, global}, func(_ func(...model.Socket), look func() *model.Snapshot) {
		snap := look()
		for i, want := range [][2]string{
			{"[fe80::1%lo]:18080", "[fe80::2%lo]:49152"},
			{"[fe80::1%4711]:18080", "[fe80::2%4711]:49152"},
			{"[2001:db8::1]:18080", "[2001:db8::2]:49152"},
		} {
			if local, remote := snap.Local(i).String(), snap.Remote(i).String(); local != want[0] || remote != want[1] {
				t.Errorf("%s - %s, want %s - %s", local, remote, want[0], want[1])
			}
		}
	})
}
