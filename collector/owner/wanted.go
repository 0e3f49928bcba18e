package owner

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/connectionsd/connectionsd/model"
)

// Wanted are the sockets whose owners are looked for, by the inode numbers of
// their files, and the owners that were found. It is for one caller at a time,
// and kept for its memory. The zero Wanted is empty.
//
// It is a hash table of one flat array, since each socket is looked up in it four
// times: by whoever wants it, when a look at the processes is settled, when it is
// claimed, and when its owner is joined. A map of Go's takes ten times as long with a
// hundred thousand sockets (BenchmarkWanted): each look into it is a cache miss
// or two. Here sockets whose numbers follow each other share cache lines, and the
// kernel gives the sockets of a process, as it lists them, numbers that do.
type Wanted struct {
	slots []wanted // a power of two of them, at most half of them used
	used  int
	shift uint8  // of a product, so that it is less than the number of lines
	seed  uint32 // odd; nobody can choose sockets so that they are looked up slowly
	// sieve has a bit set for each that is wanted. Where few are, of a hundred
	// thousand others as good as all fall through, which takes a fifth of the time
	// of a look at the table (BenchmarkWantedFew).
	sieve [64]uint64
	// every are those of which all owners are wanted.
	every map[uint32]struct{}
}

// wanted is a slot of the table: empty if inode is 0, which no file of sockfs
// has.
type wanted struct {
	inode uint32
	owner int32
}

// lineSlots is how many slots are in a cache line of 64 bytes, as a power of two.
const lineSlots = 3

// minSlots is the size of the smallest table.
const minSlots = 64

// Reset empties w and makes it ready for n sockets.
func (w *Wanted) Reset(n int) {
	size := minSlots
	for size < 2*n {
		size *= 2
	}
	if len(w.slots) < size || len(w.slots) > 4*size {
		w.make(size)
	} else {
		clear(w.slots)
	}
	w.used = 0
	clear(w.sieve[:])
	clear(w.every)
}

func (w *Wanted) make(size int) {
	w.slots = make([]wanted, size)
	w.shift = uint8(32 - (bits.TrailingZeros(uint(size)) - lineSlots))
	if w.seed == 0 {
		w.seed = rand.Uint32() | 1
	}
}

// Add wants the owner of a socket, or with every all its owners. The inode
// number 0, that of a socket that has no file, is passed over.
func (w *Wanted) Add(inode uint32, every bool) {
	if inode == 0 {
		return
	}
	if 2*w.used >= len(w.slots) {
		w.grow()
	}
	if slot := w.slot(inode); slot.inode == 0 {
		*slot = wanted{inode: inode, owner: model.NoOwner}
		w.used++
		at, bit := sieved(inode)
		w.sieve[at] |= bit
	}
	if every {
		if w.every == nil {
			w.every = make(map[uint32]struct{})
		}
		w.every[inode] = struct{}{}
	}
}

func (w *Wanted) grow() {
	old := w.slots
	w.make(max(2*len(old), minSlots))
	for _, s := range old {
		if s.inode != 0 {
			*w.slot(s.inode) = s
		}
	}
}

// Len returns how many sockets are wanted.
func (w *Wanted) Len() int { return w.used }

// Owner returns the owner that was found, model.NoOwner if none was or the
// socket is not wanted.
func (w *Wanted) Owner(inode uint32) int32 {
	if slot := w.find(inode); slot != nil {
		return slot.owner
	}
	return model.NoOwner
}

// has reports whether a socket is wanted.
func (w *Wanted) has(inode uint32) bool { return w.find(inode) != nil }

// mayHave reports false for most that are not wanted where few are. It is
// compiled into the loop that asks.
func (w *Wanted) mayHave(inode uint32) bool {
	at, bit := sieved(inode)
	return w.sieve[at]&bit != 0
}

// sieved is where in a sieve a socket is.
func sieved(inode uint32) (at uint32, bit uint64) {
	const odd = 0x9e3779b1 // spreads those that follow each other
	n := inode * odd >> 20
	return n >> 6, 1 << (n & 63)
}

// find returns the slot of a socket, nil if it is not wanted.
func (w *Wanted) find(inode uint32) *wanted {
	if inode == 0 || w.used == 0 {
		return nil
	}
	if slot := w.slot(inode); slot.inode != 0 {
		return slot
	}
	return nil
}

// hasEvery reports whether all owners of a socket are wanted.
func (w *Wanted) hasEvery(inode uint32) bool {
	_, ok := w.every[inode]
	return ok
}

// unfound yields the sockets that no owner was found of.
func (w *Wanted) unfound(yield func(uint32) bool) {
	for i := range w.slots {
		if s := &w.slots[i]; s.inode != 0 && s.owner == model.NoOwner && !yield(s.inode) {
			return
		}
	}
}

// appendUnfound appends the sockets that no owner was found of to dst, in
// ascending order.
func (w *Wanted) appendUnfound(dst []uint32) []uint32 {
	dst = slices.AppendSeq(dst, w.unfound)
	slices.Sort(dst)
	return dst
}

// unfind forgets which owners were found.
func (w *Wanted) unfind() {
	for i := range w.slots {
		w.slots[i].owner = model.NoOwner
	}
}

// slot returns the slot of a socket, or the empty one where it is to stand.
func (w *Wanted) slot(inode uint32) *wanted {
	const within = 1<<lineSlots - 1
	mask := uint32(len(w.slots) - 1)
	at := inode>>lineSlots*w.seed>>w.shift<<lineSlots | inode&within
	for {
		if s := &w.slots[at&mask]; s.inode == inode || s.inode == 0 {
			return s
		}
		at++
	}
}
