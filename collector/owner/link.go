//go:build linux

package owner

import "bytes"

// maxLink is more than the longest link of a socket in /proc/PID/fd has.
const maxLink = 64

// socketInode reads the number out of "socket:[123]", the target of a socket's
// link in /proc/PID/fd.
func socketInode(link []byte) (uint32, bool) {
	digits, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok {
		return 0, false
	}
	digits, ok = bytes.CutSuffix(digits, []byte("]"))
	if !ok {
		return 0, false
	}
	n, ok := decimal(digits, 1<<32-1)
	return uint32(n), ok
}

// decimal reads a number of at most the value most that is digits alone.
func decimal(digits []byte, most uint64) (uint64, bool) {
	if len(digits) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > most {
			return 0, false
		}
	}
	return n, true
}
