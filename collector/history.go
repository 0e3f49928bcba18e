package collector

import (
	"time"

	"github.com/connectionsd/connectionsd/collector/age"
	"github.com/connectionsd/connectionsd/model"
)

// rateWindow is the shortest time that a rate is taken over. monerod's own
// speeds are means over several one-second slots (contrib/epee's
// network_throttle); a shorter time would show single packets.
const rateWindow = time.Second

// exactWithin is the largest error of an age that is still called exact.
const exactWithin = time.Second

// clockTick allows for the tick (CONFIG_HZ, 10 ms at the most) that the
// kernel's times are rounded to.
const clockTick = 10 * time.Millisecond

// history remembers of each socket what one dump cannot tell: when it was
// first seen, who opened it, and earlier values of its byte counters. An entry
// lives as long as its socket does, and one dump longer: a dump can pass over a
// socket that lives.
type history struct {
	// index leads from the socket to its entry. Neither holds a pointer, so
	// the garbage collector looks into neither.
	index   map[socketKey]uint32
	entries []entry
	free    []uint32
	// round is the number of the latest snapshot of all sockets; pass tells the
	// dumps apart, so that a socket is known that comes twice in one.
	round uint64
	pass  uint32
	first uint32          // pass of the first dump of the snapshot under way
	snap  *model.Snapshot // under way
	// missing is how many of the sockets that were there before the latest snapshot
	// of all sockets did not have: as a rule they have been closed.
	missing int
	// added is how many connections have come since the latest snapshot of all
	// sockets, which began at ended, and perSecond how many came each second between
	// it and the one before.
	added     int
	ended     time.Duration
	perSecond float64
	// doubtful is how many the snapshot under way has whose direction is not certain,
	// and uncertain how many the latest of all had.
	doubtful, uncertain int
	// info is whether the sockets of the snapshot under way come with their tcp_info,
	// and mute whether one that did not could not be looked up: no other is tried then.
	info, mute bool
	// last is the index of the entry that was found last, and lastOther of the one
	// before the dump went on with another part.
	last, lastOther uint32
	// previous is when each namespace was dumped before: the beginning of the last
	// dump that it was a part of.
	previous map[uint32]time.Duration

	// opening are the connections that the dump has as SYN_RECV: of what becomes of
	// one meanwhile, the kernel tells as of another socket if nobody had asked for
	// the cookie of the first before.
	opening map[ends]struct{}

	// again looks a connection of the snapshot up by itself, as it is now: found is
	// false if it is gone. nil looks nothing up.
	again func(s *model.Socket) (now model.Socket, found bool, err error)

	listeners listeners
	listening map[socketKey]uint32 // the listeners, with the pass that had them
	ids       *model.ConnectionIDs
	id        [16]byte // where ids writes to
}

// ends are the two of a connection.
type ends struct {
	netns                 uint32
	localIP, remoteIP     [16]byte
	localPort, remotePort uint16
}

func endsOf(s *model.Socket) ends {
	return ends{s.NetNS, s.LocalIP, s.RemoteIP, s.LocalPort, s.RemotePort}
}

// socketKey names a socket for its life. Before Linux 5.10 each network
// namespace counted its cookies by itself.
type socketKey struct {
	cookie uint64
	netns  uint32
}

type entry struct {
	key   socketKey
	round uint64
	// born is the latest time at which the socket can have been opened.
	born time.Duration
	// older and newer are two samples at least rateWindow apart; a rate is
	// taken from older to now.
	older, newer sample
	// id is the connection_id, kept because it costs more to make than to copy.
	id        [16]byte
	exact     bool
	incoming  bool
	certainty certainty
	state     model.TCPState // that the direction was told in
	used      bool
	// blank is whether no tcp_info was there at its first sight that should have been.
	blank bool
	// fresh is whether the latest snapshot of all sockets was made before the socket was
	// seen first.
	fresh bool
	// pass is that of the dump that had the socket last.
	pass uint32
	// next are the indexes of the entries of the sockets that followed in dumps, the
	// latest first: one in a whole dump, another in one in parts.
	next [2]uint32
}

// sample is the payload counters at one time.
type sample struct {
	at         time.Duration
	recv, sent uint64
}

func newHistory(ids *model.ConnectionIDs) *history {
	return &history{index: make(map[socketKey]uint32), previous: make(map[uint32]time.Duration), listeners: make(listeners), listening: make(map[socketKey]uint32), opening: make(map[ends]struct{}), ids: ids}
}

// begin starts a snapshot, which the sockets of its dumps are then joined to.
// whole is whether it is to have all of them, info whether they have tcp_info, and
// again is history.again. Without info those that no earlier snapshot had are looked
// up, and those whose direction is not certain; of the others no rate is taken.
func (h *history) begin(snap *model.Snapshot, whole, info bool, again func(*model.Socket) (model.Socket, bool, error)) {
	h.again, h.info, h.mute = again, info, false
	if whole {
		h.round++
	}
	h.pass++
	h.first = h.pass
	h.last, h.lastOther, h.doubtful = 0, 0, 0
	h.snap = snap
	clear(h.listeners)
	clear(h.listening)
	clear(h.opening)
	snap.Known = snap.Known[:0]
}

// join writes to the snapshot's Known what the history has of sockets[from:],
// and brings the history up to them. It is a sockdiag.Join.
func (h *history) join(sockets []model.Socket, from int) (n int) {
	if from < len(h.snap.Known) {
		// A dump begins anew. Who follows it may read the old ones still.
		h.snap.Known = h.snap.Known[:from:from]
		h.pass++
		clear(h.opening)
		h.keep(sockets[:from])
	}
	if n := len(sockets); cap(h.snap.Known) < n {
		grown := make([]model.Known, n, cap(sockets))
		copy(grown, h.snap.Known[:from])
		h.snap.Known = grown
	} else {
		h.snap.Known = h.snap.Known[:n]
	}
	n = from
	for i := from; i < len(sockets); i++ {
		if n < i {
			sockets[n] = sockets[i]
		}
		if h.joinOne(&sockets[n], &h.snap.Known[n]) {
			n++
		}
	}
	h.snap.Known = h.snap.Known[:n]
	return n
}

// keep notes anew what the snapshot has from earlier dumps, of which none is to
// be repeated by the one that begins.
func (h *history) keep(sockets []model.Socket) {
	for i := range sockets {
		s := &sockets[i]
		key := socketKey{s.Cookie, s.NetNS}
		if !s.State.IsConnection() {
			h.listening[key] = h.pass
			continue
		}
		h.entries[h.index[key]].pass = h.pass
		if s.State == model.SynRecv {
			h.opening[endsOf(s)] = struct{}{}
		}
	}
}

// joinOne reports false for a socket that the kernel repeats.
func (h *history) joinOne(s *model.Socket, known *model.Known) bool {
	*known = model.Known{Owner: model.NoOwner, Container: model.NoContainer}
	if !s.State.IsConnection() {
		return h.listens(s)
	}
	e, found := h.find(s)
	if e == nil || e.pass == h.pass {
		return false
	}
	if s.State == model.SynRecv {
		h.opening[endsOf(s)] = struct{}{}
	}
	e.round, e.pass = h.round, h.pass
	if e.certainty != certain {
		h.settle(e, s, found)
	}
	if e.blank && s.InfoLen > 0 {
		e.fill(s)
	}
	known.ID = e.id
	known.Age = s.Seen - e.born
	known.AgeExact = e.exact
	known.Incoming = e.incoming
	if h.info || s.InfoLen > 0 {
		known.Download, known.Upload = e.rates(s)
	}
	return true
}

// settle tells the direction of a socket that is not certain yet, if there is
// something to tell it by; known is whether an earlier dump had it.
func (h *history) settle(e *entry, s *model.Socket, known bool) {
	if known {
		h.lookUp(s)
	}
	if h.info || s.InfoLen > 0 || !known {
		h.direct(e, s, known)
	}
	if e.certainty != certain {
		h.doubtful++
	}
}

// lookUp puts a socket as it is now, with its tcp_info, in the place of one that
// was dumped without. One that is gone by now, or cannot be looked up, stays as it
// is: as of a kernel that does not tell. Of those that are opening there is nothing
// to tell.
func (h *history) lookUp(s *model.Socket) {
	if h.info || h.mute || h.again == nil || isOpening(s) {
		return
	}
	now, found, err := h.again(s)
	if h.mute = err != nil; err == nil && found {
		*s = now
	}
}

func isOpening(s *model.Socket) bool { return s.State == model.SynSent || s.State == model.SynRecv }

// fill puts what the counters and times of a socket say in the place of what was
// not known at its first sight.
func (e *entry) fill(s *model.Socket) {
	floor, _ := age.Floor(s)
	e.born = min(e.born, s.Seen-floor)
	now := sample{at: s.Seen, recv: s.RecvCount(), sent: s.SendCount()}
	e.older, e.newer, e.blank = now, now, false
}

// direct tells the direction of a socket that is not certain yet; known is
// whether an earlier dump had it.
func (h *history) direct(e *entry, s *model.Socket, known bool) {
	if known && e.certainty == told && e.state == s.State {
		e.certainty = certain
		return
	}
	incoming, state, c := h.direction(s, known)
	// A later guess is no better than the first, which was made when the listener
	// was likelier to be there still.
	if !known || c != guessed {
		e.incoming = incoming
	}
	e.certainty, e.state = c, state
}

// direction tells the direction of a socket, and the state that it was told in.
// known is whether an earlier dump had it. Where what the counters say and
// who listens contradict each other, most likely a FIN or data were sent or
// acknowledged while the kernel read the socket. Then it is looked up once more,
// which costs some 8 µs (BenchmarkLookup).
func (h *history) direction(s *model.Socket, known bool) (incoming bool, state model.TCPState, c certainty) {
	incoming, c = direction(s, h.listeners)
	moving := c == guessed && !known // a later guess does not count
	if h.again == nil || !moving && (c != told || incoming) || incoming == h.listeners.accepts(s) {
		return incoming, s.State, c
	}
	now, found, err := h.again(s)
	switch {
	case moving && (err != nil || !found):
		return incoming, s.State, guessed
	case moving:
		incoming, c = direction(&now, h.listeners)
		return incoming, now.State, c
	case err != nil: // the next dump will tell
		return false, s.State, told
	case !found:
		return true, s.State, guessed
	case now.State == s.State:
		return false, s.State, certain
	default:
		incoming, c = direction(&now, h.listeners)
		return incoming, now.State, c
	}
}

// endPart closes a snapshot that has not all sockets: of those it lacks nothing
// is forgotten, and none of the others is held to be new for it.
func (h *history) endPart() {
	h.snap.Known = h.snap.Known[:len(h.snap.Sockets)]
	h.snap = nil
}

// fail closes a snapshot of all sockets that could not be made. What was seen in it is
// remembered as from the one before. Of those that came since that one it drops
// what was not seen in this: where all fail, because of one namespace among
// several, the others' sockets come and go all the same, and nobody else would forget
// them. isUnread reports whether nothing was read of a namespace that is there: of that
// one's sockets nothing is known anew.
func (h *history) fail(isUnread func(netns uint32) bool) {
	h.snap = nil
	h.round--
	h.missing = max(h.missing, 1) // nobody knows
	seen := func(e *entry) bool { return e.pass-h.first <= h.pass-h.first }
	read := make(map[uint32]bool) // the namespaces
	for n := range h.entries {
		if e := &h.entries[n]; e.used && seen(e) {
			read[e.key.netns] = true
		}
	}
	for n := range h.entries {
		e := &h.entries[n]
		if e.used && e.fresh && !seen(e) && (read[e.key.netns] || !isUnread(e.key.netns)) {
			h.drop(uint32(n))
		}
		e.round = min(e.round, h.round)
	}
	h.shrink()
}

// end closes the snapshot, of which dumped are the namespaces.
func (h *history) end(dumped []uint32) {
	h.snap.Known = h.snap.Known[:len(h.snap.Sockets)] // without those of a namespace that left
	h.forget()
	if over := h.snap.Began - h.ended; h.ended > 0 && over > 0 {
		h.perSecond = float64(h.added) / over.Seconds()
	}
	h.added, h.ended, h.uncertain = 0, h.snap.Began, h.doubtful
	clear(h.previous)
	for _, netns := range dumped {
		h.previous[netns] = h.snap.Began
	}
	h.snap = nil
}

// listens notes a listening socket, and reports false for a repeated one.
func (h *history) listens(s *model.Socket) bool {
	key := socketKey{s.Cookie, s.NetNS}
	if h.listening[key] == h.pass {
		return false
	}
	h.listening[key] = h.pass
	h.listeners.add(s)
	return true
}

// find returns the entry of a socket, and whether it was there before; nil for
// one that the dump has as SYN_RECV.
//
// The kernel lists sockets in the order of its hash tables, which is the same
// each time, but that a dump in two parts leaves some out on the way from one to the
// next, and goes on with either part by turns. So the entries that followed the last
// one in earlier dumps are looked at first, and those that followed the last one of
// the other part: with a hundred thousand sockets a look into the index is a cache
// miss or two, and was a sixth of the time of a request (BenchmarkHistory).
func (h *history) find(s *model.Socket) (*entry, bool) {
	key := socketKey{s.Cookie, s.NetNS}
	if n, follows := h.following(h.last, key); follows {
		h.last = n
		return &h.entries[n], true
	}
	if n, follows := h.following(h.lastOther, key); follows {
		h.last, h.lastOther = n, h.last
		return &h.entries[n], true
	}
	n, found := h.index[key]
	if !found {
		if len(h.opening) > 0 {
			if _, has := h.opening[endsOf(s)]; has {
				return nil, false
			}
		}
		n = h.add(key, s)
	}
	if h.last < uint32(len(h.entries)) {
		next := &h.entries[h.last].next
		next[0], next[1] = n, next[0]
	}
	h.last, h.lastOther = n, h.last
	return &h.entries[n], found
}

// following returns the index of a socket's entry if it followed another entry
// before.
func (h *history) following(last uint32, key socketKey) (n uint32, follows bool) {
	if last >= uint32(len(h.entries)) {
		return 0, false
	}
	next := &h.entries[last].next
	for i, n := range next {
		if n < uint32(len(h.entries)) && h.entries[n].key == key && h.entries[n].used {
			next[0], next[i] = n, next[0]
			return n, true
		}
	}
	return 0, false
}

// unsettled reports whether connections were gone in the last snapshot of all
// sockets, or have come since. Where neither is so, and there are no fewer
// than then, none was closed between it and the dump under way.
func (h *history) unsettled() bool {
	return h.missing > 0 || h.added > 0
}

// lookUps is how many sockets of a snapshot that begins now, and comes without
// tcp_info, will likely be looked up: those that no earlier one had, and those whose
// direction is not certain.
func (h *history) lookUps(now time.Duration) float64 {
	return float64(h.uncertain+h.added) + h.perSecond*(now-h.ended).Seconds()
}

// add makes the entry of a socket that was not there before.
func (h *history) add(key socketKey, s *model.Socket) (n uint32) {
	h.added++
	h.lookUp(s)
	if last := len(h.free) - 1; last >= 0 {
		n = h.free[last]
		h.free = h.free[:last]
	} else {
		n = uint32(len(h.entries))
		h.entries = append(h.entries, entry{})
	}
	h.index[key] = n
	h.entries[n] = h.firstSight(s)
	h.entries[n].blank = !h.info && s.InfoLen == 0 && !isOpening(s)
	return n
}

// firstSight is the entry of a socket that no earlier dump had.
func (h *history) firstSight(s *model.Socket) entry {
	floor, exact := age.Floor(s)
	h.ids.Put(&h.id, s)
	e := entry{key: socketKey{s.Cookie, s.NetNS}, born: s.Seen - floor, id: h.id, exact: exact, used: true, fresh: true, pass: h.pass - 1}
	now := sample{at: s.Seen, recv: s.RecvCount(), sent: s.SendCount()}
	previous, dumped := h.previous[s.NetNS]
	if !dumped || e.born <= previous-clockTick {
		// It is older than the first dump that could show it: by how much only the
		// floor tells, and there is nothing yet to take a rate from.
		e.older, e.newer = now, now
		return e
	}
	// It was opened since the previous dump, so it is exact if the two times
	// that its opening lies between are close. Its counters were zero then.
	if e.born-previous <= exactWithin {
		e.exact = true
	}
	e.older = sample{at: previous}
	e.newer = now
	return e
}

// rates returns the bytes per second of the last one to two seconds (longer
// where dumps are further apart), and takes a new sample when one is due.
func (e *entry) rates(s *model.Socket) (recv, sent uint64) {
	now := sample{at: s.Seen, recv: s.RecvCount(), sent: s.SendCount()}
	over := max(now.at-e.older.at, rateWindow)
	recv = perSecond(e.older.recv, now.recv, over)
	sent = perSecond(e.older.sent, now.sent, over)
	if now.at-e.newer.at >= rateWindow {
		e.older, e.newer = e.newer, now
	}
	return recv, sent
}

// perSecond is the rate from one count to a later one; 0 if the counter went
// back, as it does to zero when the kernel keeps only a remnant of a socket.
func perSecond(from, to uint64, over time.Duration) uint64 {
	if to <= from {
		return 0
	}
	return uint64(float64(to-from) / over.Seconds())
}

// forget drops the entries of sockets that are gone.
func (h *history) forget() {
	h.missing = 0
	for n := range h.entries {
		e := &h.entries[n]
		if e.used && e.round+1 == h.round {
			h.missing++
		}
		if e.used && e.round+1 < h.round {
			h.drop(uint32(n))
		}
		e.fresh = false
	}
	h.shrink()
}

// drop forgets the entry of a socket.
func (h *history) drop(n uint32) {
	delete(h.index, h.entries[n].key)
	h.entries[n] = entry{}
	h.free = append(h.free, n)
}

// shrinkAbove is how many entries are kept without asking whether they are
// used: 100 kB or so.
const shrinkAbove = 1024

// shrink gives the memory back when most of it is of sockets that are gone: a
// map and a slice only ever grow by themselves.
func (h *history) shrink() {
	live := len(h.index)
	if len(h.entries) <= shrinkAbove || live > len(h.entries)/4 {
		return
	}
	entries := make([]entry, 0, 2*live)
	index := make(map[socketKey]uint32, 2*live)
	for _, e := range h.entries {
		if e.used {
			index[e.key] = uint32(len(entries))
			entries = append(entries, e)
		}
	}
	h.entries, h.index, h.free = entries, index, nil
}
