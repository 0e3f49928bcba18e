package collector

import (
	"testing"
	"time"

	"github.com/connectionsd/connectionsd/model"
)

// A namespace can be found long after the sockets in it were opened: of their
// age only the floor is known, and nothing of their rate.
func TestFirstSightInANamespaceThatIsFoundLate(t *testing.T) {
	const own, late = 1, 2
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	dump := func(at time.Duration, dumped []uint32, sockets ...model.Socket) []model.Known {
		snap := &model.Snapshot{Began: at, Sockets: sockets}
		for i := range snap.Sockets {
			snap.Sockets[i].Seen = at
		}
		h.begin(snap, true)
		h.join(snap.Sockets, 0)
		h.end(dumped)
		return snap.Known
	}
	busy := func(netns uint32) model.Socket {
		return model.Socket{
			Cookie: uint64(netns), NetNS: netns, State: model.Established, InfoLen: 248,
			BytesReceived: 200 << 20, LastDataSent: 4000, LastDataRecv: 3,
		}
	}
	dump(0, []uint32{own})
	dump(10*time.Second, []uint32{own})
	known := dump(10*time.Second+200*time.Millisecond, []uint32{own, late}, busy(late))
	if want := (model.Known{ID: known[0].ID, Age: 4 * time.Second, Incoming: true, Owner: model.NoOwner, Container: model.NoContainer}); known[0] != want {
		t.Errorf("found late: %+v, want %+v", known[0], want)
	}

	// In a namespace that the dump before had, it is as new as it looks.
	fresh := busy(own)
	fresh.LastDataSent = 100
	known = dump(10*time.Second+400*time.Millisecond, []uint32{own, late}, fresh, busy(late))
	if !known[0].AgeExact || known[0].Age != 100*time.Millisecond || known[0].Download != 200<<20 {
		t.Errorf("new: %+v, want an exact age of 100ms and 200 MiB/s", known[0])
	}
	if known[1].AgeExact || known[1].Age != 4200*time.Millisecond || known[1].Download != 0 {
		t.Errorf("found late, second sight: %+v, want a floor of 4.2s and no rate", known[1])
	}
	// One whose floor is before the dump that should have shown it was passed
	// over by that dump.
	missed := busy(own)
	missed.Cookie = 77
	known = dump(10*time.Second+600*time.Millisecond, []uint32{own}, missed)
	if known[0].AgeExact || known[0].Age != 4*time.Second || known[0].Download != 0 {
		t.Errorf("passed over before: %+v, want a floor of 4s and no rate", known[0])
	}
}
