//go:build linux

package collector

import (
	"runtime"
	"time"
)

// manyToPart is of how many sockets a dump that somebody waits for is made in two
// parts at the same time (sockdiag.Parting). Of 4,000 the second walk of the tables
// takes as long as the second processor wins, of 6,000 it is a sixth less time
// (BenchmarkSnapshot with as many), of 10,000 nearly half (BenchmarkDump).
const manyToPart = 6000

// bucketsToLeave is for how many buckets one socket may leave the table of
// connections while a dump is made in parts.
//
// A part goes through a hash bucket by position, and those of the other part count
// there too. If one of them leaves where the kernel has just let go of the bucket in
// which a datagram ended, the next is passed over, and lostPlace cannot see it: it
// looks at the sockets that the part has. Each that leaves meanwhile is in one of the
// two such buckets with a chance of 2 to the number of buckets, and hardly one bucket
// in five has another behind it. So of 40,000 dumps in parts one has passed over a
// socket, if as many leave in each as may. How many did, the kernel counts.
const bucketsToLeave = 1 << 14

// wholeAfter is how many dumps are made whole once more sockets have left than may:
// what was likely did not say it, and each that has to be made again costs both.
const wholeAfter = 16

// perSocket is about what a dump in parts takes for each socket.
const perSocket = time.Microsecond

// canPart reports whether a dump of all sockets of a namespace can be made in parts.
// With many sockets in each bucket one dump does not do (buckets.dumps).
func (n *namespaces) canPart(in *buckets) bool {
	return n.parts && in.sockets >= manyToPart && in.n > 0 && in.dumps(n.total) == 1 && runtime.GOMAXPROCS(0) > 1
}

// begin is called when a dump begins. It reports whether it is likely that no more
// sockets leave the table meanwhile than may, by how many did since the last that
// began.
func (in *buckets) begin(now time.Duration) (quiet bool) {
	before := in.counted
	var ok bool
	in.whole = max(0, in.whole-1)
	if in.counted, ok = in.count(now); !ok || in.whole > 0 || before == (counts{}) || now <= before.at {
		return false
	}
	perSecond := float64(in.counted.leftSince(before)) / (now - before.at).Seconds()
	takes := time.Duration(in.sockets) * perSocket
	return perSecond*takes.Seconds() <= float64(in.mayLeave())
}

// manyLeft reports whether more sockets may have left the table since begin than may.
func (in *buckets) manyLeft() bool {
	now, ok := in.count(in.counted.at)
	many := !ok || now.leftSince(in.counted) > in.mayLeave()
	if many {
		in.whole = 1 + wholeAfter
	}
	return many
}

func (in *buckets) mayLeave() int64 { return int64(in.n / bucketsToLeave) }
