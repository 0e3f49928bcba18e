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
// it does. Two dumps do not pass over the same.
type buckets struct {
	n      int // 0: not known
	shared bool
}

// readBuckets reads those of the calling thread's namespace.
func readBuckets() buckets {
	b, err := os.ReadFile(bucketsPath)
	if err != nil {
		return buckets{}
	}
	return parseBuckets(string(b))
}

func parseBuckets(s string) buckets {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	switch {
	case err != nil:
		return buckets{}
	case n < 0:
		return buckets{n: -n, shared: true}
	default:
		return buckets{n: n}
	}
}

// crowded reports whether so many sockets are as many as pass each other over.
func (b buckets) crowded(sockets int) bool { return b.n > 0 && sockets > b.n/2 }
