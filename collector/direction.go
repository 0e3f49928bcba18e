package collector

import "github.com/connectionsd/connectionsd/model"

// certainty is how well the direction of a connection is known.
type certainty uint8

const (
	// guessed: by the listeners, which may have come or gone since, or by
	// counters that were moving.
	guessed certainty = iota
	// told: by counters at rest. The kernel reads them a moment after the socket's
	// state: if its FIN was sent and acknowledged between, that counts like the SYN
	// of an opener.
	told
	// certain: by the state alone, or told while the state has stayed what it was.
	certain
)

// direction tells whether the peer opened the connection.
func direction(s *model.Socket, l listeners) (incoming bool, c certainty) {
	switch s.State {
	case model.SynSent:
		return false, certain
	case model.SynRecv:
		// Of a simultaneous open, in which both ends are the opener, this says
		// incoming; it is as good as unheard of.
		return true, certain
	}
	if opened, ok := openerTrace(s); ok {
		if s.Unacked > 0 {
			return !opened, guessed
		}
		return !opened, told
	}
	return l.accepts(s), guessed
}

// openerTrace tells whether this end opened the connection, from the trace
// that the handshake leaves in the byte counters: the SYN of the opener is
// acknowledged and counted in BytesAcked (tcp_ack in net/ipv4/tcp_input.c),
// the acceptor's socket is only made after its SYN was. So, once what is in
// flight is added, the opener has one more acknowledged than sent. ok is false
// where the counters do not say.
func openerTrace(s *model.Socket) (opened, ok bool) {
	if !s.HasBytesSent() {
		return false, false
	}
	// In sequence numbers: what was sent once, and what of it came home.
	sent := s.SendCount()
	acked := s.BytesAcked
	if s.Unacked > 0 {
		// The kernel reads the queue a moment before the counters. If data moved
		// between, the sum is off by its size, and hardly ever by just one.
		if s.SendQueue < s.NotSent {
			return false, false
		}
		acked += uint64(s.SendQueue - s.NotSent)
	}
	if finSent(s) {
		sent++
	}
	switch acked - sent {
	case 0:
		return false, true
	case 1:
		return true, true
	default:
		return false, false
	}
}

// finSent reports whether this end's FIN stands among the sequence numbers
// that were sent.
func finSent(s *model.Socket) bool {
	switch s.State {
	case model.FinWait2:
		return true
	case model.FinWait1, model.LastAck, model.Closing:
		// The FIN waits behind data that was not sent yet. Where nothing is in
		// flight it has not been sent either.
		return s.NotSent == 0 && s.Unacked > 0
	default:
		return false
	}
}

// listeners are the ends that accept connections.
type listeners map[model.Endpoint]struct{}

// add adds a listening socket.
func (l listeners) add(s *model.Socket) {
	l[s.LocalEndpoint()] = struct{}{}
	if also, ok := s.DualStack(); ok {
		l[also] = struct{}{}
	}
}

// accepts reports whether a listener holds the local end of s.
func (l listeners) accepts(s *model.Socket) bool {
	local := s.LocalEndpoint()
	if _, ok := l[local]; ok {
		return true
	}
	_, ok := l[local.Wildcard()]
	return ok
}
