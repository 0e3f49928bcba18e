package rpc

import (
	"sync"

	"github.com/connectionsd/connectionsd/collector"
)

// recorder makes records of sockets: of get_connections, or of GET /api/connections.
type recorder interface {
	// appendRecord appends the record of the socket i, or returns false if there is to be none.
	appendRecord(buf []byte, i int) ([]byte, bool)
}

// recordsWriter writes records of the sockets of a snapshot, separated by commas.
type recordsWriter struct {
	limit  int           // of the records, 0: none
	shared *sharedAnswer // with those who ask for the same; nil: with nobody

	next  int // index of the next socket
	count int // of the records
}

func (w *recordsWriter) full() bool { return w.limit > 0 && w.count == w.limit }

// write writes the records of those sockets, of so many that there are, that it has not come to yet. Unless ended, more
// are to come.
func (w *recordsWriter) write(out *Reply, sockets int, ended bool, of recorder) error {
	for w.next < sockets && !w.full() {
		to := min(w.next+unit, sockets)
		if to < w.next+unit && !ended {
			return nil // the others of the unit come with the next part
		}
		if !w.copy(out) {
			w.encode(out, to, of)
		}
		w.next = to
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// copy writes the next unit as another has encoded it, if one has.
func (w *recordsWriter) copy(out *Reply) (ok bool) {
	if w.shared == nil {
		return false
	}
	records := 0
	out.Buf, records, ok = w.shared.appendUnit(out.Buf, w.next, w.count > 0)
	w.count += records
	return ok
}

// encode writes the next unit, which ends before the socket to.
func (w *recordsWriter) encode(out *Reply, to int, of recorder) {
	before := w.count
	start := len(out.Buf) // behind the comma before the first
	for i := w.next; i < to && !w.full(); i++ {
		from := len(out.Buf)
		if w.count > 0 {
			out.Buf = append(out.Buf, ',')
		}
		buf, ok := of.appendRecord(out.Buf, i)
		if !ok {
			out.Buf = out.Buf[:from]
			continue
		}
		if w.count == before && w.count > 0 {
			start = from + 1
		}
		out.Buf = buf
		w.count++
	}
	if w.shared != nil {
		w.shared.keep(w.next, out.Buf[start:], w.count-before)
	}
}

// unit is of how many sockets the records are shared together: enough that finding them costs little beside copying them.
const unit = 8

// keptUnits is how many units are kept of an answer, about 1 MiB: twice what a [Reply] is ahead of its client, and so of
// others whose clients read as fast.
const keptUnits = 128

// sharedAnswer has the last units of what one has encoded, for others whose answers are the same. To copy 8 KiB takes a
// tenth of the time that it takes to encode them.
type sharedAnswer struct {
	mu    sync.Mutex
	units []sharedUnit // keptUnits at most; that from a socket i stands at i/unit, modulo keptUnits
}

// sharedUnit are the records of the sockets from an index on, separated by commas.
type sharedUnit struct {
	known   bool
	from    int
	records int
	bytes   []byte
}

// appendUnit appends the unit of the sockets from an index on, behind a comma if that is wanted, and returns how many
// records that are. It is not ok if the unit is not there.
func (a *sharedAnswer) appendUnit(buf []byte, from int, comma bool) (_ []byte, records int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := from / unit % keptUnits
	if at >= len(a.units) {
		return buf, 0, false
	}
	u := &a.units[at]
	if !u.known || u.from != from {
		return buf, 0, false
	}
	if comma && u.records > 0 {
		buf = append(buf, ',')
	}
	return append(buf, u.bytes...), u.records, true
}

// keep keeps the unit of the sockets from an index on, unless a later one has its place.
func (a *sharedAnswer) keep(from int, b []byte, records int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := from / unit % keptUnits
	if missing := at + 1 - len(a.units); missing > 0 {
		a.units = append(a.units, make([]sharedUnit, missing)...)
	}
	u := &a.units[at]
	if u.known && u.from > from {
		return
	}
	if u.bytes == nil {
		u.bytes = make([]byte, 0, len(b)+len(b)/8)
	}
	u.known, u.from, u.records, u.bytes = true, from, records, append(u.bytes[:0], b...)
}

// forget makes an answer the beginning of another, which is as long as a rule and so finds its memory here.
func (a *sharedAnswer) forget() {
	for i := range a.units {
		a.units[i].known = false
	}
}

// sharedAnswers are those that are made from one snapshot, by what was asked for.
type sharedAnswers struct {
	mu    sync.Mutex
	by    map[string]*sharedAnswer
	spare []*sharedAnswer // of an earlier snapshot
}

// sharedAnswersAfter returns those of another snapshot, for which the memory is used of those before, if there are any.
func sharedAnswersAfter(before any) any {
	all, ok := before.(*sharedAnswers)
	if !ok {
		return &sharedAnswers{by: make(map[string]*sharedAnswer)}
	}
	for _, a := range all.by {
		if len(all.spare) < maxShared {
			a.forget()
			all.spare = append(all.spare, a)
		}
	}
	clear(all.by)
	return all
}

// maxShared is how many different answers are shared of one snapshot: the dashboards of a host ask for few. Who asks for
// more than maxAsked bytes tell shares with nobody, since they are kept.
const (
	maxShared = 4
	maxAsked  = 1024
)

// sharedAnswerOf returns the answer of those who read the same snapshot and ask for the same; nil if nobody else reads it,
// or as of says. It is for who has read the first of the snapshot.
func sharedAnswerOf(following *collector.Following, asked string) *sharedAnswer {
	all, _ := following.Shared(sharedAnswersAfter).(*sharedAnswers)
	if all == nil {
		return nil
	}
	return all.of(asked)
}

// of returns the answer of those who ask for that; nil if others ask for too many different things, or it takes too many
// words.
func (all *sharedAnswers) of(asked string) *sharedAnswer {
	if len(asked) > maxAsked {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	of := all.by[asked]
	if of == nil && len(all.by) < maxShared {
		of = new(sharedAnswer)
		if n := len(all.spare); n > 0 {
			of, all.spare = all.spare[n-1], all.spare[:n-1]
		}
		all.by[asked] = of
	}
	return of
}
