package model

import (
	"fmt"
	"strings"
)

// TCPState is a state of a TCP socket, numbered as in the kernel's
// include/net/tcp_states.h.
type TCPState uint8

// The states that a dump can report.
const (
	Established TCPState = 1
	SynSent     TCPState = 2
	SynRecv     TCPState = 3
	FinWait1    TCPState = 4
	FinWait2    TCPState = 5
	TimeWait    TCPState = 6
	Close       TCPState = 7
	CloseWait   TCPState = 8
	LastAck     TCPState = 9
	Listen      TCPState = 10
	Closing     TCPState = 11
)

// tcpStateNames are the kernel's names, without their TCP_.
var tcpStateNames = [...]string{
	Established: "ESTABLISHED",
	SynSent:     "SYN_SENT",
	SynRecv:     "SYN_RECV",
	FinWait1:    "FIN_WAIT1",
	FinWait2:    "FIN_WAIT2",
	TimeWait:    "TIME_WAIT",
	Close:       "CLOSE",
	CloseWait:   "CLOSE_WAIT",
	LastAck:     "LAST_ACK",
	Listen:      "LISTEN",
	Closing:     "CLOSING",
}

// String returns the kernel's name of the state, such as ESTABLISHED, and
// TCP_STATE_n for a number that this package does not know.
func (s TCPState) String() string {
	if int(s) < len(tcpStateNames) && tcpStateNames[s] != "" {
		return tcpStateNames[s]
	}
	return fmt.Sprintf("TCP_STATE_%d", uint8(s))
}

// IsConnection reports whether a socket in this state has a Connection record:
// all but LISTEN, TIME_WAIT and CLOSE, and those that this package does not
// know.
func (s TCPState) IsConnection() bool {
	return connectionStates.Has(s)
}

// PeerState returns what monerod's "state" member can honestly say of a socket
// in this TCP state, and "" where the socket is no connection. monerod's
// "synchronizing" is about the chain, which the kernel does not know.
func (s TCPState) PeerState() string {
	switch s {
	case SynSent, SynRecv:
		return "before_handshake"
	case Established:
		return "normal"
	case FinWait1, FinWait2, CloseWait, LastAck, Closing:
		return "standby"
	default:
		return ""
	}
}

// StateSet is a set of TCP states, bit n for state n: the shape of
// idiag_states in the kernel's include/uapi/linux/inet_diag.h.
type StateSet uint32

// States returns the set of the given states.
func States(states ...TCPState) StateSet {
	var set StateSet
	for _, s := range states {
		set |= 1 << s
	}
	return set
}

// connectionStates are the states that have a Connection record.
const connectionStates StateSet = 1<<Established | 1<<SynSent | 1<<SynRecv | 1<<FinWait1 |
	1<<FinWait2 | 1<<CloseWait | 1<<LastAck | 1<<Closing

// Has reports whether s is in the set.
func (set StateSet) Has(s TCPState) bool {
	return s < 32 && set&(1<<s) != 0
}

// ParseConnectionStates returns the TCP states that name stands for: one by
// the kernel's name (ESTABLISHED, fin_wait1, with - or _), or all those that
// carry one of monerod's peer states (normal, standby, before_handshake).
// Upper and lower case are the same. Names of states that no connection is in
// are an error.
func ParseConnectionStates(name string) (StateSet, error) {
	plain := strings.ReplaceAll(strings.Map(asciiLower, name), "-", "_")
	var set StateSet
	for i := range tcpStateNames {
		s := TCPState(i)
		if s.IsConnection() && (plain == strings.Map(asciiLower, s.String()) || plain == s.PeerState()) {
			set |= 1 << s
		}
	}
	if set == 0 {
		return 0, fmt.Errorf("%q is no state of a connection: want one of %s", name, connectionStateNames())
	}
	return set, nil
}

// connectionStateNames lists what ParseConnectionStates takes.
func connectionStateNames() string {
	var names []string
	for i, name := range tcpStateNames {
		if TCPState(i).IsConnection() {
			names = append(names, name)
		}
	}
	return strings.Join(append(names, "before_handshake", "normal", "standby"), ", ")
}

// asciiLower leaves out the letters of other scripts that strings.ToLower
// makes ASCII ones of.
func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
