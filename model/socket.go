package model

import (
	"net/netip"
	"time"
)

// Socket is what the kernel says of one TCP socket, at one moment. The cookie
// names it for its life.
//
// It holds no pointer, so that a hundred thousand of them are one block of
// memory which the garbage collector does not look into.
//
// Fields from tcp_info (include/uapi/linux/tcp.h) are zero where the kernel
// gave none: a request socket (SYN_RECV), one in TIME_WAIT or its FIN_WAIT2,
// or a kernel older than the field. InfoLen tells which.
type Socket struct {
	// Cookie is the kernel's 64-bit name of the socket (SO_COOKIE). It is
	// passed on from the request socket to the accepted one.
	Cookie uint64
	// Seen is when the kernel's message was read, by the monotonic clock of
	// the process that read it.
	Seen time.Duration
	// CgroupID is the id of the cgroup v2 that the socket was made in
	// (INET_DIAG_CGROUP_ID), 0 if not told.
	CgroupID uint64

	// BytesAcked is tcpi_bytes_acked: what the peer has acknowledged, in
	// sequence numbers, so that an acknowledged SYN and FIN count as one each.
	BytesAcked uint64
	// BytesReceived is tcpi_bytes_received, in sequence numbers: the peer's
	// FIN counts as one, its SYN does not.
	BytesReceived uint64
	// BytesSent is tcpi_bytes_sent: payload sent, repetitions included
	// (Linux 4.19).
	BytesSent uint64
	// BytesRetrans is tcpi_bytes_retrans: payload sent again (Linux 4.19).
	BytesRetrans uint64
	// DeliveryRate is tcpi_delivery_rate, bytes per second.
	DeliveryRate uint64

	// LocalIP and RemoteIP are the two ends; an IPv4 address stands as an
	// IPv4-mapped one, Family tells which it was.
	LocalIP, RemoteIP     [16]byte
	LocalPort, RemotePort uint16

	// InfoLen is how many bytes of tcp_info the kernel gave.
	InfoLen uint16

	// NetNS is the inode number of the network namespace, as in
	// /proc/PID/ns/net.
	NetNS uint32
	// Interface is the index of the interface the socket is bound to, or 0.
	Interface uint32
	// UID is the user that made the socket.
	UID uint32
	// Inode is the number of the socket's file in sockfs, 0 for a socket that
	// has none (not yet accepted, or left by its process).
	Inode uint32
	// RecvQueue is idiag_rqueue: bytes received and not yet read; for LISTEN,
	// connections waiting to be accepted.
	RecvQueue uint32
	// SendQueue is idiag_wqueue: sequence numbers from the first not yet
	// acknowledged to the last written; for LISTEN, the backlog.
	SendQueue uint32

	// LastDataSent and LastDataRecv are tcpi_last_data_sent and
	// tcpi_last_data_recv: milliseconds since data was last sent and received,
	// or since the handshake.
	LastDataSent, LastDataRecv uint32
	// RTT, RTTVar and MinRTT are in microseconds.
	RTT, RTTVar, MinRTT uint32
	// Unacked is tcpi_unacked: segments in flight.
	Unacked uint32
	// NotSent is tcpi_notsent_bytes: written and not yet sent.
	NotSent uint32
	// TotalRetrans is tcpi_total_retrans: segments sent again in the life of
	// the socket.
	TotalRetrans uint32
	// CongestionWindow is tcpi_snd_cwnd, in segments.
	CongestionWindow uint32

	State TCPState
	// Family is AF_INET (2) or AF_INET6 (10).
	Family Family
	// CongestionState is tcpi_ca_state (enum tcp_ca_state).
	CongestionState CongestionState
	// Shutdown is the INET_DIAG_SHUTDOWN bits: 1 receiving, 2 sending.
	Shutdown uint8
	// V6Only is set for an IPv6 listener that takes no IPv4 connections
	// (INET_DIAG_SKV6ONLY).
	V6Only bool
}

// Family is an address family, numbered as in Linux.
type Family uint8

// The families of TCP.
const (
	IPv4 Family = 2
	IPv6 Family = 10
)

// InfoLen at which parts of tcp_info are there: the offset behind the last of
// their fields in include/uapi/linux/tcp.h, which only ever grows.
const (
	infoLenTimes     = 60  // up to tcpi_last_ack_recv
	infoLenCounters  = 136 // tcpi_bytes_acked, tcpi_bytes_received: Linux 4.1
	infoLenBytesSent = 216 // tcpi_bytes_sent, tcpi_bytes_retrans: Linux 4.19
)

// HasTimes reports whether the kernel gave LastDataSent and LastDataRecv.
func (s *Socket) HasTimes() bool { return s.InfoLen >= infoLenTimes }

// HasBytesSent reports whether the kernel gave all four byte counters.
func (s *Socket) HasBytesSent() bool { return s.InfoLen >= infoLenBytesSent }

// Local returns the local end; an IPv4-mapped address is IPv4.
func (s *Socket) Local() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(s.LocalIP).Unmap(), s.LocalPort)
}

// Remote returns the remote end; an IPv4-mapped address is IPv4.
func (s *Socket) Remote() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(s.RemoteIP).Unmap(), s.RemotePort)
}

// finReceived reports whether the peer's FIN has been received and so counts
// in BytesReceived: tcp_data_queue takes it for the last byte of the stream.
func (s *Socket) finReceived() bool {
	switch s.State {
	case CloseWait, LastAck, Closing:
		return true
	default:
		return false
	}
}

// RecvCount is the payload received, in bytes.
func (s *Socket) RecvCount() uint64 {
	if s.finReceived() && s.BytesReceived > 0 {
		return s.BytesReceived - 1
	}
	return s.BytesReceived
}

// SendCount is the payload sent, in bytes, each byte once however often it was
// repeated. 0 where the kernel is older than Linux 4.19.
func (s *Socket) SendCount() uint64 {
	if s.BytesRetrans > s.BytesSent {
		return 0
	}
	return s.BytesSent - s.BytesRetrans
}

// CongestionState is tcpi_ca_state, numbered as enum tcp_ca_state of
// include/uapi/linux/tcp.h.
type CongestionState uint8

var congestionStateNames = [...]string{"open", "disorder", "cwr", "recovery", "loss"}

// String returns the kernel's name of the state in lower case, without its
// TCP_CA_, and "unknown" for a number that this package does not know.
func (c CongestionState) String() string {
	if int(c) < len(congestionStateNames) {
		return congestionStateNames[c]
	}
	return "unknown"
}
