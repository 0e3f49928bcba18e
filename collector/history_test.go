package collector

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
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
		h.begin(snap, true, true, nil)
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

// A snapshot without tcp_info goes on with what is known. What it has first is looked up, and so is that whose direction
// is not certain; of the others no rate is taken, so that those of the next whole snapshot are over the whole time.
func TestHistoryWithoutInfo(t *testing.T) {
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	// The kernel's sockets as they are at a time: each receives 1,000 bytes a second from 1s on.
	at := func(cookie uint64, now time.Duration) model.Socket {
		return model.Socket{
			Cookie: cookie, NetNS: 1, State: model.Established, Family: model.IPv4, LocalPort: uint16(cookie), InfoLen: 248, Seen: now,
			BytesSent: 10, BytesAcked: 11, BytesReceived: uint64((now - time.Second) / time.Millisecond), LastDataSent: 300,
		}
	}
	gone := map[uint64]bool{}
	var failure error
	var looked []uint64
	dump := func(now time.Duration, info bool, cookies ...uint64) []model.Known {
		t.Helper()
		snap := &model.Snapshot{Began: now, Sockets: []model.Socket{{Cookie: 99, NetNS: 1, State: model.Listen, Family: model.IPv4, LocalPort: 3}}}
		for _, cookie := range cookies {
			s := at(cookie, now)
			if !info {
				s = model.Socket{Cookie: cookie, NetNS: 1, State: model.Established, Family: model.IPv4, LocalPort: uint16(cookie), Seen: now}
			}
			snap.Sockets = append(snap.Sockets, s)
		}
		looked = nil
		h.begin(snap, true, info, func(s *model.Socket) (model.Socket, bool, error) {
			looked = append(looked, s.Cookie)
			return at(s.Cookie, now), !gone[s.Cookie], failure
		})
		h.join(snap.Sockets, 0)
		h.end([]uint32{1})
		return snap.Known[1:]
	}
	dump(time.Second, true)
	dump(2*time.Second, true, 1)
	if got := h.lookUps(3 * time.Second); got != 2 {
		t.Errorf("%v are to be looked up, want 2: one whose direction is not certain, and one a second", got)
	}
	known := dump(3*time.Second, false, 1)
	if !slices.Equal(looked, []uint64{1}) || known[0].Incoming || known[0].Download != 1000 {
		t.Errorf("its direction is not certain: looked up %v, %+v, want 1, outgoing, 1000 B/s", looked, known[0])
	}
	known = dump(4*time.Second, false, 1)
	if len(looked) != 0 || known[0].Incoming || known[0].Download != 0 || known[0].Age != 2300*time.Millisecond {
		t.Errorf("known: looked up %v, %+v, want none, outgoing, no rate, an age of 2.3s", looked, known[0])
	}
	if got := h.lookUps(5 * time.Second); got != 0 {
		t.Errorf("%v are to be looked up, want none", got)
	}

	gone[3] = true
	known = dump(4500*time.Millisecond, false, 1, 2, 3)
	if !slices.Equal(looked, []uint64{2, 3}) {
		t.Errorf("looked up %v, want the new ones, 2 and 3", looked)
	}
	if k := known[1]; k.Incoming || !k.AgeExact || k.Age != 300*time.Millisecond {
		t.Errorf("new: %+v, want outgoing, an exact age of 300ms", k)
	}
	if k := known[2]; !k.Incoming || k.Age != 0 {
		t.Errorf("new, and gone: %+v, want incoming, as who listens says, and no age", k)
	}
	if got := h.lookUps(5 * time.Second); got != 4 {
		t.Errorf("%v are to be looked up, want 4: two whose direction is not certain, and four a second", got)
	}

	// What cannot be looked up is told by what is known, and by its counters once they are there.
	failure = errors.New("no")
	known = dump(6*time.Second, false, 1, 4, 5)
	if !slices.Equal(looked, []uint64{4}) || known[1].Age != 0 || known[2].Age != 0 {
		t.Errorf("new, and not to be looked up: %+v, asked for %v, want no age, and for the first alone", known[1:], looked)
	}
	failure = nil
	known = dump(7*time.Second, true, 1, 4)
	if k := known[1]; k.Download != 0 || k.Age != time.Second || k.Incoming {
		t.Errorf("its counters are there: %+v, want outgoing, an age of 1s, and no rate yet", k)
	}
	if k := known[0]; k.Download != 1000 || k.Age != 5300*time.Millisecond || len(looked) != 0 {
		t.Errorf("with tcp_info again: %+v, looked up %v, want 1000 B/s, an age of 5.3s, and none", k, looked)
	}
}

// A socket that the kernel repeats within a dump counts once, by its first word; in the next dump it is no repeated one,
// nor in the next attempt at one that was begun anew.
func TestHistoryTakesOutWhatIsRepeated(t *testing.T) {
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	socket := func(cookie uint64, state model.TCPState) model.Socket {
		return model.Socket{Cookie: cookie, State: state, LocalPort: uint16(cookie), InfoLen: 248}
	}
	sockets := func() []model.Socket {
		return []model.Socket{
			socket(1, model.Listen), socket(1, model.Listen), socket(2, model.SynRecv), socket(3, model.Established),
			socket(2, model.Established), socket(4, model.Established), socket(3, model.Closing),
		}
	}
	const want = "1 LISTEN, 2 SYN_RECV, 3 ESTABLISHED, 4 ESTABLISHED"
	for range 3 {
		var snap model.Snapshot
		h.begin(&snap, true, true, nil)
		all := sockets()
		if n := h.join(all[:3], 0); n != 2 { // an attempt that is interrupted
			t.Errorf("%d sockets of an attempt, want 2", n)
		}
		all = sockets()
		n := h.join(all[:3], 0)
		n = h.join(append(all[:n], all[3:]...), n)
		snap.Sockets = all[:n]
		h.end(nil)
		var got []string
		for i, s := range snap.Sockets {
			got = append(got, fmt.Sprint(s.Cookie, " ", s.State))
			if (snap.Known[i].ID == [16]byte{}) != (s.State == model.Listen) {
				t.Errorf("socket %d: %+v", s.Cookie, snap.Known[i])
			}
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A connection that is established while the dump goes on counts once, though the kernel may tell of it as of another socket.
func TestHistoryTakesOutWhatWasOpening(t *testing.T) {
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	socket := func(cookie uint64, state model.TCPState, port uint16) model.Socket {
		return model.Socket{Cookie: cookie, State: state, LocalPort: 80, RemotePort: port, InfoLen: 248}
	}
	for _, test := range []struct{ dump, want string }{
		{"1 SYN_RECV 1000, 2 ESTABLISHED 1000, 3 ESTABLISHED 1001", "1 SYN_RECV 1000, 3 ESTABLISHED 1001"},
		{"2 ESTABLISHED 1000, 3 ESTABLISHED 1001", "2 ESTABLISHED 1000, 3 ESTABLISHED 1001"}, // it is nothing that the next dump knows of
	} {
		var sockets []model.Socket
		for line := range strings.SplitSeq(test.dump, ", ") {
			var cookie uint64
			var name string
			var port uint16
			if _, err := fmt.Sscan(line, &cookie, &name, &port); err != nil {
				t.Fatal(err)
			}
			state := model.Established
			if name == "SYN_RECV" {
				state = model.SynRecv
			}
			sockets = append(sockets, socket(cookie, state, port))
		}
		var snap model.Snapshot
		h.begin(&snap, true, true, nil)
		snap.Sockets = sockets[:h.join(sockets, 0)]
		h.end(nil)
		var got []string
		for _, s := range snap.Sockets {
			got = append(got, fmt.Sprint(s.Cookie, " ", s.State, " ", s.RemotePort))
		}
		if got := strings.Join(got, ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.dump, got, test.want)
		}
	}
}

// What is known of a socket does not depend on its place in the dump.
func TestHistoryFindsEachSocketWhateverTheOrder(t *testing.T) {
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	random := rand.New(rand.NewPCG(1, 2))
	ids := make(map[uint64][16]byte)
	living := make([]uint64, 0, 300)
	for next := uint64(1); next < 2000; {
		for len(living) < 300 {
			living = append(living, next)
			next++
		}
		random.Shuffle(random.IntN(300), func(i, j int) { living[i], living[j] = living[j], living[i] })
		var snap model.Snapshot
		h.begin(&snap, true, true, nil)
		for _, cookie := range living {
			snap.Sockets = append(snap.Sockets, model.Socket{Cookie: cookie, State: model.Established, InfoLen: 248})
		}
		if n := h.join(snap.Sockets, 0); n != len(living) {
			t.Fatalf("%d sockets, want %d", n, len(living))
		}
		h.end(nil)
		for i, cookie := range living {
			if id, seen := ids[cookie]; seen && id != snap.Known[i].ID {
				t.Fatalf("socket %d has another id than before", cookie)
			}
			ids[cookie] = snap.Known[i].ID
		}
		living = living[:random.IntN(300)]
	}
	if len(h.index) > 600 {
		t.Errorf("%d entries are kept", len(h.index))
	}
}

// BenchmarkHistory is what it costs to join a socket that was there before.
func BenchmarkHistory(b *testing.B) {
	const sockets = 100_000
	var same []model.Socket
	for i := range sockets {
		same = append(same, model.Socket{Cookie: uint64(i + 1), State: model.Established, InfoLen: 248})
	}
	var others [][]model.Socket
	for range 4 {
		shuffled := slices.Clone(same)
		rand.Shuffle(sockets, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		others = append(others, shuffled)
	}
	parts := inParts(same)
	for _, bench := range []struct {
		name   string
		orders [][]model.Socket // of the dumps
	}{
		{"in the same order", [][]model.Socket{same}},
		{"in two parts", [][]model.Socket{parts}},
		{"whole and in two parts by turns", [][]model.Socket{same, parts}},
		{"in another order", others},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h := newHistory(model.NewConnectionIDs([16]byte{}))
			var snap model.Snapshot
			b.ReportAllocs()
			turn := func(n int) {
				snap.Sockets = bench.orders[n%len(bench.orders)]
				h.begin(&snap, true, true, nil)
				h.join(snap.Sockets, 0)
				h.end(nil)
			}
			n := 0
			for ; n < 2*len(bench.orders); n++ {
				turn(n)
			}
			for ; b.Loop(); n++ {
				turn(n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sockets), "ns/socket")
		})
	}
}

// inParts returns the sockets as they come where every second is in another part of the dump, a row of each part by turns.
func inParts(sockets []model.Socket) (list []model.Socket) {
	const row = 640
	var parts [2][]model.Socket
	for i := range sockets {
		parts[i%2] = append(parts[i%2], sockets[i])
	}
	for len(parts[0]) > 0 {
		for p := range parts {
			n := min(row, len(parts[p]))
			list, parts[p] = append(list, parts[p][:n]...), parts[p][n:]
		}
	}
	return list
}

// One sample that cost much does not slow the sampler down, several do.
func TestPace(t *testing.T) {
	var p pace
	var got []time.Duration
	for _, cost := range []time.Duration{900, 20, 30, 20, 800, 20, 700, 600, 500, 800} {
		p.add(cost * time.Millisecond)
		got = append(got, p.wait()/time.Millisecond)
	}
	if want := []time.Duration{250, 250, 250, 3000, 3000, 3000, 3000, 3000, 3000, 75000}; !slices.Equal(got, want) {
		t.Errorf("%d ms, want %d", got, want)
	}
}

// What a sample cost is what the process has spent until the next, unless a request came between them.
func TestBeginSample(t *testing.T) {
	var spent time.Duration
	var fails error
	c := New(Options{Dumper: sockdiag.New(nil, nil, 0), Spent: func() (time.Duration, error) { return spent, fails }})
	begin := func(what string, wantCost time.Duration, wantOK bool) {
		t.Helper()
		if cost, ok := c.beginSample(); ok != wantOK || ok && cost != wantCost {
			t.Errorf("%s: %d, %t, want %d, %t", what, cost, ok, wantCost, wantOK)
		}
	}
	begin("the first", 0, false)
	spent = 7
	begin("the second", 7, true)
	spent, c.pace.alone = 20, false
	begin("after a request", 0, false)
	spent = 25
	begin("the one after that", 5, true)
	fails = errors.New("no such clock")
	begin("without a clock", 0, false)
	fails, spent = nil, 100
	begin("with one again", 0, false)
	c.options.Spent = nil
	begin("with none at all", 0, false)
}

// Where every snapshot fails, since one namespace of several cannot be dumped, what is remembered of the others stays in bounds, and what was
// there before and lives is remembered as it was.
func TestHistoryOfSnapshotsThatFail(t *testing.T) {
	const own = 1
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	socket := func(cookie uint64) model.Socket {
		return model.Socket{Cookie: cookie, NetNS: own, State: model.Established, InfoLen: 248, LastDataSent: 50, LastDataRecv: 50}
	}
	dump := func(at time.Duration, fails bool, cookies ...uint64) []model.Known {
		snap := &model.Snapshot{Began: at}
		for _, cookie := range cookies {
			s := socket(cookie)
			s.Seen = at
			snap.Sockets = append(snap.Sockets, s)
		}
		h.begin(snap, true, true, nil)
		h.join(snap.Sockets, 0)
		if fails {
			h.fail(func(uint32) bool { return false })
		} else {
			h.end([]uint32{own})
		}
		return snap.Known
	}
	dump(0, false)
	at := time.Second
	first := dump(at, false, 1, 2)[0].Age // of sockets that were opened since
	const failed = 1000
	for i := range uint64(failed) {
		at += time.Second
		dump(at, true, 1, 1000+2*i, 1001+2*i) // 2 is passed over, or closed: nobody knows
		if got, want := len(h.index), 4; got != want {
			t.Fatalf("%d sockets are remembered after %d snapshots that failed, want %d: two of the last that did not, and two that are there", got, i+1, want)
		}
	}
	if len(h.entries) > 2*shrinkAbove {
		t.Errorf("room for %d sockets", len(h.entries))
	}
	at += time.Second
	known := dump(at, false, 1)
	if want := first + (failed+1)*time.Second; known[0].Age != want || !known[0].AgeExact {
		t.Errorf("age %v, exact %t, want %v", known[0].Age, known[0].AgeExact, want)
	}
	if h.missing != 3 {
		t.Errorf("%d sockets are gone since the last snapshot, want 3", h.missing)
	}
	at += time.Second
	dump(at, false, 1)
	if len(h.index) != 1 {
		t.Errorf("%d sockets are remembered, want the one that is there", len(h.index))
	}
}

// One failure among others costs a socket nothing that it was passed over by: it is remembered for as many snapshots as otherwise.
func TestASnapshotThatFailsBetweenOthers(t *testing.T) {
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	dump := func(at time.Duration, fails bool, sockets ...model.Socket) []model.Known {
		snap := &model.Snapshot{Began: at, Sockets: sockets}
		for i := range sockets {
			sockets[i].Seen = at
		}
		h.begin(snap, true, true, nil)
		h.join(snap.Sockets, 0)
		if fails {
			h.fail(func(uint32) bool { return false })
		} else {
			h.end([]uint32{1})
		}
		return snap.Known
	}
	s := model.Socket{Cookie: 7, NetNS: 1, State: model.Established, InfoLen: 248}
	dump(0, false)
	dump(time.Second, false, s)
	dump(2*time.Second, true)
	dump(3*time.Second, false) // it is passed over
	known := dump(4*time.Second, false, s)
	if known[0].Age != 3*time.Second || !known[0].AgeExact {
		t.Errorf("age %v, exact %t, want 3s from when it was seen first", known[0].Age, known[0].AgeExact)
	}
}

// A snapshot can fail before it has come to a namespace. What is remembered of that one stays; what is of one that has left goes.
func TestASnapshotThatFailsBeforeANamespace(t *testing.T) {
	const own, other, left = 1, 2, 3
	h := newHistory(model.NewConnectionIDs([16]byte{}))
	at := time.Duration(0)
	fail := func(isUnread func(uint32) bool, sockets ...model.Socket) {
		at += time.Second
		snap := &model.Snapshot{Began: at, Sockets: sockets}
		h.begin(snap, true, true, nil)
		h.join(snap.Sockets, 0)
		h.fail(isUnread)
	}
	in := func(netns uint32) model.Socket {
		return model.Socket{Cookie: uint64(netns), NetNS: netns, State: model.Established, InfoLen: 248}
	}
	remembered := func() (all []uint32) {
		for key := range h.index {
			all = append(all, key.netns)
		}
		slices.Sort(all)
		return all
	}
	fail(func(uint32) bool { return false }, in(own), in(other), in(left))
	fail(func(netns uint32) bool { return netns == other }, in(own))
	if got, want := remembered(), []uint32{own, other}; !slices.Equal(got, want) {
		t.Errorf("remembered of the namespaces %v, want of %v", got, want)
	}
	// What was read of one before it failed tells that the others of it may have gone.
	second := in(other)
	second.Cookie = 99
	fail(func(netns uint32) bool { return netns == other }, in(own), second)
	if _, there := h.index[socketKey{uint64(other), other}]; there || len(h.index) != 2 {
		t.Errorf("the first of the other namespace is remembered %t, of %d in all, want not, of 2", there, len(h.index))
	}
}
