//go:build linux

package collector

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
)

// bucketsPath is a sysctl since Linux 6.1: how many buckets the calling
// thread's network namespace has for its connections, negative where they are
// those of the initial one.
const bucketsPath = "/proc/sys/net/ipv4/tcp_ehash_entries"

// buckets are the hash buckets that the kernel keeps a namespace's connections
// in.
//
// A dump goes through a bucket by position and lets go of its lock where a
// datagram is full, and after each 16 sockets (inet_diag_dump_icsk in
// net/ipv4/inet_diag.c). If a socket that it has passed is closed meanwhile, the
// next one moves up and is passed over. With some sockets in each bucket, where
// connections are closed all the time, that happens often; two dumps hardly ever
// pass over the same then, unless manyInOne says so. With few, two must be in the
// bucket where a datagram ends, which lostPlace looks at.
type buckets struct {
	n      int // 0: not known
	shared bool
	// sockets is how many the namespace had in the latest dump of all, and
	// connections how many of them were none that listen, which parting would divide.
	sockets, connections int
	parting              sockdiag.Parting
	// count counts what comes and goes, and counted is what it said last; whole is how
	// many dumps are made whole whatever that says, with the next that begins.
	count   func(at time.Duration) (counts, bool)
	counted counts
	whole   int
}

// readBuckets reads those of the calling thread's namespace.
func readBuckets() (n int, shared bool) {
	b, err := os.ReadFile(bucketsPath)
	if err != nil {
		return 0, false
	}
	return parseBuckets(string(b))
}

func parseBuckets(s string) (n int, shared bool) {
	number, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	switch {
	case err != nil:
		return 0, false
	case number < 0:
		return int(-number), true
	default:
		return int(number), false
	}
}

// manyInOne is how many sockets in each bucket make some buckets have more than
// the kernel takes at a time, which are 16 (SKARR_SZ). The first that it takes
// after those is passed over in one of some hundred dumps, and it is the same
// one in each.
const manyInOne = 8

// all returns how many sockets are in the buckets, where those of all namespaces
// are so many.
func (b *buckets) all(total int) int {
	if b.shared {
		return total
	}
	return b.sockets
}

// dumps returns how many dumps it takes that none is passed over within its
// bucket, if any are closed meanwhile. total is how many sockets all namespaces
// have together. Where 64 buckets have 20 sockets each, and 5,000 a second are
// opened and closed, two dumps pass over one of half a million, and four none.
func (b *buckets) dumps(total int) int {
	sockets := b.all(total)
	switch {
	case b.n == 0 || sockets <= b.n/2:
		return 1
	case sockets <= manyInOne*b.n:
		return 2
	default:
		return 4
	}
}

// depth returns that of lostPlace.
func (b *buckets) depth(total int) int {
	if b.all(total) <= b.n/crowded {
		return 1
	}
	return 2
}
