//go:build linux

package collector

import (
	"os"
	"strconv"
	"strings"
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
// next one moves up and is passed over. With few sockets in a bucket that hardly
// ever happens; with some in each, where connections are closed all the time,
// it does. Two dumps hardly ever pass over the same.
type buckets struct {
	n      int // 0: not known
	shared bool
	// sockets is how many the namespace had in the latest dump of all.
	sockets int
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

// Where there are that many sockets in a bucket, it is gone through in several
// steps: the kernel takes 16 at a time (SKARR_SZ). The first of a step is then
// passed over in one of some hundred dumps, and it is the same one in each.
const manyInOne = 8

// dumps returns how many dumps it takes that none is passed over, if any are
// closed meanwhile. all is how many sockets all namespaces have together. Of
// 64 buckets with 20 sockets in each, of which half come and go within a second,
// two dumps pass over one of half a million, and four none.
func (b *buckets) dumps(all int) int {
	sockets := b.sockets
	if b.shared {
		sockets = all
	}
	switch {
	case b.n == 0 || sockets <= b.n/2:
		return 1
	case sockets <= manyInOne*b.n:
		return 2
	default:
		return 4
	}
}
