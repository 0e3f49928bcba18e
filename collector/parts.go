//go:build linux

package collector

import (
	"runtime"
	"time"
)

// manyToPart is of how many sockets a dump that somebody waits for is made in two
// parts at the same time (sockdiag.Parting). Of 4,000 the second walk of the tables
// takes as long as the second processor wins, of 6,000 it is a sixth less time, of
// 100,000 nearly half (BenchmarkDump).
const manyToPart = 6000

// calmTurnover is how many connections may come or go in a second where a dump is
// made in parts.
//
// A part goes through a hash bucket by position, and those of the other part count
// there too. If one of them is closed where the kernel has just let go of the bucket
// in which a datagram ended, the next is passed over, and lostPlace cannot see it: it
// looks at the sockets that the part has. Each that is closed meanwhile is in such a
// bucket with a chance of 2 to the number of buckets, and hardly one bucket in five
// has another behind it. So with 100,000 sockets in 262,144 buckets, and a hundred
// that are closed in each second, one of 100,000 such dumps has passed over a socket.
// In a whole dump those in TIME_WAIT do the same, of which each that was closed by
// this host leaves one behind.
const calmTurnover = 100

// canPart reports whether a dump of all sockets of a namespace can be made in parts.
// With many sockets in each bucket one dump does not do (buckets.dumps).
func (n *namespaces) canPart(in *buckets) bool {
	return n.parts && in.sockets >= manyToPart && in.dumps(n.total) == 1 && runtime.GOMAXPROCS(0) > 1
}

// turnover is how many came or went in each second of some time. Of two snapshots in
// a row the clients alone that asked for them can be some.
func turnover(n int, in time.Duration) float64 {
	return float64(n) / max(in, sampleEvery).Seconds()
}

// calm reports whether so few connections come and go that a dump can be made in
// parts: between the two latest snapshots of all sockets, and since. missing is how
// many fewer there are than in the latest.
func (h *history) calm(missing int) bool {
	return h.turnover <= calmTurnover && turnover(h.added+max(missing, 0), h.snap.Began-h.ended) <= calmTurnover
}
