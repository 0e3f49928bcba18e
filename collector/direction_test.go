//go:build linux

package collector

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

// Of an end that accepted its connection, and of one that opened it, in one
// dump after the other. The kernel reads a socket's counters a moment after its
// state, so one dump can have the counters of after a FIN with the state of
// before it.
func TestDirectionOverDumps(t *testing.T) {
	type dump struct {
		infoLen                uint16 // 0: all that a kernel of today tells
		state                  model.TCPState
		sent, acked            uint64
		unacked                uint32
		sendQueue              uint32
		listenerOfItsLocalPort bool
	}
	const sent = 700
	established := func(acked uint64) dump { return dump{state: model.Established, sent: sent, acked: acked} }
	for _, test := range []struct {
		name  string
		dumps []dump
		want  []bool // incoming
	}{
		{
			"accepted, and the FIN acknowledged while the first dump reads it: as soon as the state says so",
			[]dump{established(sent + 1), {state: model.FinWait2, sent: sent, acked: sent + 1}, {state: model.FinWait2, sent: sent, acked: sent + 1}},
			[]bool{false, true, true},
		},
		{
			"accepted, and the same while the third reads it: it is certain already",
			[]dump{established(sent), established(sent), established(sent + 1), {state: model.FinWait2, sent: sent, acked: sent + 1}},
			[]bool{true, true, true, true},
		},
		{
			"opened",
			[]dump{established(sent + 1), established(sent + 1), {state: model.FinWait2, sent: sent, acked: sent + 2}},
			[]bool{false, false, false},
		},
		{
			"accepted, something in flight before it is at rest",
			[]dump{
				{state: model.Established, sent: sent, acked: sent - 100 + 1, unacked: 1, sendQueue: 100},
				{state: model.CloseWait, sent: sent, acked: sent},
				{state: model.CloseWait, sent: sent, acked: sent},
			},
			[]bool{false, true, true},
		},
		{
			"what cannot be told later stays what was told",
			[]dump{established(sent), {state: model.CloseWait, sent: sent, acked: sent - 50, unacked: 1}, {state: model.CloseWait, sent: sent, acked: sent - 50, unacked: 1}},
			[]bool{true, true, true},
		},
		{
			"an old kernel that does not tell, and a listener that has gone since",
			[]dump{{state: model.Established, infoLen: 100, listenerOfItsLocalPort: true}, {state: model.Established, infoLen: 100}},
			[]bool{true, true},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory(model.NewConnectionIDs([16]byte{}))
			var got []bool
			for i, d := range test.dumps {
				s := model.Socket{
					Cookie: 1, NetNS: 1, State: d.state, Family: model.IPv4, LocalPort: 18080, InfoLen: 248, Seen: time.Hour + time.Duration(i)*time.Second,
					BytesSent: d.sent, BytesAcked: d.acked, Unacked: d.unacked, SendQueue: d.sendQueue,
				}
				if d.infoLen > 0 {
					s.InfoLen = d.infoLen
				}
				snap := new(model.Snapshot)
				if d.listenerOfItsLocalPort {
					snap.Sockets = append(snap.Sockets, model.Socket{Cookie: 2, NetNS: 1, State: model.Listen, Family: model.IPv4, LocalPort: 18080})
				}
				snap.Sockets = append(snap.Sockets, s)
				snap.Began = s.Seen
				h.begin(snap, true, true, nil)
				h.join(snap.Sockets, 0)
				got = append(got, snap.Known[len(snap.Sockets)-1].Incoming)
				h.end([]uint32{1})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("incoming (-want +got):\n%s", diff)
			}
		})
	}
}

// Counters like those of an opener at the address of a listener: the connection
// is looked up once more.
func TestDirectionIsLookedAtAgain(t *testing.T) {
	const sent = 700
	socket := func(state model.TCPState, acked uint64) model.Socket {
		return model.Socket{
			Cookie: 1, NetNS: 1, State: state, Family: model.IPv4, LocalPort: 18080, InfoLen: 248, Seen: time.Hour, BytesSent: sent, BytesAcked: acked,
		}
	}
	// Data of one byte was sent between the reading of the queue and of the counters,
	// which then look like those of an end that accepted.
	moving := func(acked uint64) *model.Socket {
		s := socket(model.Established, acked)
		s.Unacked = 1
		return &s
	}
	for _, test := range []struct {
		name           string
		first          *model.Socket // nil: at rest, with the counters of one that opened
		listens, found bool
		now            model.Socket
		err            error
		want           bool
		asked          int // in two dumps that say the same
	}{
		{"accepted, its FIN is acknowledged by now", nil, true, true, socket(model.FinWait2, sent+1), nil, true, 2},
		{"opened from the port of a listener: certain at once", nil, true, true, socket(model.Established, sent+1), nil, false, 1},
		{"opened from there, its FIN is acknowledged by now", nil, true, true, socket(model.FinWait2, sent+2), nil, false, 2},
		{"gone", nil, true, false, model.Socket{}, nil, true, 2},
		{"it cannot be looked up: the next dump says the same", nil, true, false, model.Socket{}, errors.New("no"), false, 1},
		{"opened, and nobody listens", nil, false, false, model.Socket{}, nil, false, 0},
		{"opened, and a byte was sent meanwhile", moving(sent), false, true, socket(model.Established, sent+1), nil, false, 1},
		{"accepted from a listener that has gone, and a byte is on its way", moving(sent), false, true, *moving(sent), nil, true, 1},
		{"accepted, and a byte was acknowledged meanwhile", moving(sent + 1), true, true, socket(model.Established, sent), nil, true, 1},
		{"moving, and gone", moving(sent), false, false, model.Socket{}, nil, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory(model.NewConnectionIDs([16]byte{}))
			asked := 0
			for range 2 {
				snap := new(model.Snapshot)
				if test.listens {
					snap.Sockets = append(snap.Sockets, model.Socket{Cookie: 2, NetNS: 1, State: model.Listen, Family: model.IPv4, LocalPort: 18080})
				}
				first := socket(model.Established, sent+1)
				if test.first != nil {
					first = *test.first
				}
				snap.Sockets = append(snap.Sockets, first)
				h.begin(snap, true, true, func(*model.Socket) (model.Socket, bool, error) {
					asked++
					return test.now, test.found, test.err
				})
				h.join(snap.Sockets, 0)
				if got := snap.Known[len(snap.Sockets)-1].Incoming; got != test.want {
					t.Errorf("incoming %v, want %v", got, test.want)
				}
				h.end([]uint32{1})
			}
			if asked != test.asked {
				t.Errorf("it was looked up %d times, want %d", asked, test.asked)
			}
		})
	}
}
