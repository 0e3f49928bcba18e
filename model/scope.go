package model

import "slices"

// Scope is the connections of one node: those of the processes that listen on
// a given port, less what their other listening ports accepted. For the P2P
// port of a monerod these are the connections that monerod itself lists: its
// RPC and ZMQ clients are not among them, nor are connections that it has not
// accepted yet or that are still being opened.
type Scope struct {
	// Owners are the processes that listen on the port, as indexes into
	// Snapshot.Owners.
	Owners []int32
	// Others are the further ports that they listen on.
	Others []uint16
	// Unseen is set where something listens on the port whose owner is not
	// known, so that its connections cannot be told from others'.
	Unseen bool
}

// Scope returns the scope of a port. The snapshot must have been joined with
// owners. Where nobody listens on the port it is empty.
func (s *Snapshot) Scope(port uint16) Scope {
	var sc Scope
	for i := range s.Sockets {
		if s.Sockets[i].State != Listen || s.Sockets[i].LocalPort != port {
			continue
		}
		found := false
		for owner := range s.owners(i) {
			found = true
			if !slices.Contains(sc.Owners, owner) {
				sc.Owners = append(sc.Owners, owner)
			}
		}
		if !found {
			sc.Unseen = true
		}
	}
	if sc.Owners == nil {
		return sc
	}
	for i := range s.Sockets {
		other := s.Sockets[i].LocalPort
		if s.Sockets[i].State != Listen || other == port || slices.Contains(sc.Others, other) {
			continue
		}
		if sc.MatchListener(s, i) {
			sc.Others = append(sc.Others, other)
		}
	}
	return sc
}

// Match reports whether the socket at index i of s, the snapshot that the
// scope was made of, is a connection of the scope.
func (sc *Scope) Match(s *Snapshot, i int) bool {
	return sc.holds(s, i) && !sc.acceptedElsewhere(s, i)
}

// MatchRPC reports whether the socket at index i of s is a connection that
// another listening port of the scope's processes accepted: for a monerod, a
// client of its RPC or ZMQ.
func (sc *Scope) MatchRPC(s *Snapshot, i int) bool {
	return sc.holds(s, i) && sc.acceptedElsewhere(s, i)
}

// MatchListener reports whether one of the scope's processes holds the
// listening socket at index i of s.
func (sc *Scope) MatchListener(s *Snapshot, i int) bool {
	for owner := range s.owners(i) {
		if slices.Contains(sc.Owners, owner) {
			return true
		}
	}
	return false
}

func (sc *Scope) holds(s *Snapshot, i int) bool {
	switch state := s.Sockets[i].State; {
	case !state.IsConnection(), state == SynSent, state == SynRecv:
		return false
	default:
		return s.Known[i].Owner != NoOwner && slices.Contains(sc.Owners, s.Known[i].Owner)
	}
}

func (sc *Scope) acceptedElsewhere(s *Snapshot, i int) bool {
	return s.Known[i].Incoming && slices.Contains(sc.Others, s.Sockets[i].LocalPort)
}
