package main

import "runtime/debug"

// manySockets is from where on the memory that the sockets take is most of what
// the daemon takes.
const manySockets = 20_000

// The garbage that is let pile up, in percent of the memory in use. On a small
// host what requests leave behind is most of it, and Go's own setting is right.
// With many sockets hardly any garbage is made, since what they take is used
// again: then the same percentage would be a hundred megabytes for nothing.
const (
	garbageOfFew  = 100
	garbageOfMany = 10
)

// memoryFollower keeps what the daemon takes in proportion to the sockets.
type memoryFollower struct {
	many bool
}

// dumped is told how many sockets each dump had.
func (m *memoryFollower) dumped(sockets int) {
	switch {
	case !m.many && sockets >= manySockets:
		m.many = true
		debug.SetGCPercent(garbageOfMany)
	case m.many && sockets < manySockets/2:
		m.many = false
		debug.SetGCPercent(garbageOfFew)
	}
}
