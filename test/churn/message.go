//go:build linux

package churn

import "net/netip"

// What a holder and who started it say to each other, as gob on its standard
// input and output.

// targets are where connections to a holder can be opened to. They are the first
// thing that it says.
type targets struct {
	PID  int32
	Name string
	// Churn are those that stay, and Held is the one that is closed once it has
	// accepted what it is to accept.
	Churn, Held []target
}

// target is an address that somebody listens on.
type target struct {
	Address netip.AddrPort
	// Mapped: it is IPv4, and is to be reached by a socket of IPv6.
	Mapped bool
	Manner manner
}

// manner is how whoever accepts a connection behaves.
type manner uint8

const (
	follower manner = iota // it ends the connection as soon as the opener does
	patient                // it goes on for a while when the opener has closed its half
	leader                 // it ends the connection, or its half, and the opener is patient
	passive                // it does nothing
)

// orders are what a holder is told first. They are followed by true, with which
// the churn begins, and false, with which it opens no more connections. With the
// end of the input it ends.
type orders struct {
	Seed uint64
	// Peer is where it opens connections to.
	Peer targets
	// Rate is how many a second.
	Rate int
	// Held is how many it opens at the beginning to keep them, and Accept how many
	// it is to accept of those that somebody else keeps.
	Held, Accept int
}

// report is what a holder says all the time.
type report struct {
	Ready   bool // it holds what it is to hold
	Stopped bool // it opens no more connections
	Events  []event
	// Told is the instant up to which everything has been told. Nothing that the
	// holder did before is told later.
	Told instant
}

// event is something that a holder did with an end of a connection. It was begun
// at Began and done at Done.
type event struct {
	What what
	// End is a number for the life of an end.
	End           uint32
	Local, Remote netip.AddrPort // opened and accepted
	Began, Done   instant
}

type what uint8

const (
	opened   what = iota
	accepted      // Began is not known
	shut          // by shutdown(2), in the direction of sending
	closed        // with a FIN
	aborted       // with a RST; the socket is gone at Done
)
