package main

import "unsafe"

// blank overwrites s, a part of os.Args. What "ps" and /proc/PID/cmdline show is the memory that the kernel put the
// arguments into; the strings of os.Args are that memory, not copies of it, and it can be written to. Otherwise it could
// only be moved elsewhere (PR_SET_MM), which takes CAP_SYS_RESOURCE.
//
// A string must not change in Go, so nothing else may refer to s: hideSecrets gives out copies.
func blank(s string) {
	bytes := unsafe.Slice(unsafe.StringData(s), len(s))
	for i := range bytes {
		bytes[i] = 'x'
	}
}
