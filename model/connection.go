package model

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
)

// Connection is one record of monerod's get_connections. Its JSON has monerod's
// 25 members in monerod's (alphabetical) order; docs/monero.md says where each
// value comes from.
//
// The members address, address_type, host, ip, port, localhost and local_ip
// are all said by Remote.
type Connection struct {
	// ID is connection_id, written as 32 hex digits.
	ID [16]byte
	// Remote is the peer.
	Remote netip.AddrPort
	// State is monerod's word: before_handshake, normal or standby.
	State string

	// LiveTime is the age in whole seconds.
	LiveTime uint64
	// RecvCount and SendCount are payload bytes.
	RecvCount, SendCount uint64
	// RecvIdleTime and SendIdleTime are whole seconds since payload was last
	// received and sent, since the opening if there was none.
	RecvIdleTime, SendIdleTime uint64
	// AvgDownload and AvgUpload are kB/s over LiveTime; 0 while that is 0.
	AvgDownload, AvgUpload uint64
	// CurrentDownload and CurrentUpload are kB/s (bytes per second / 1024).
	CurrentDownload, CurrentUpload uint64
	// Height is the chain height that the peer last told: a placeholder.
	Height uint64

	// PeerID, PruningSeed, RPCCreditsPerHash, RPCPort and SupportFlags are
	// exchanged in Monero's handshake, which the kernel does not read: zero.
	PeerID            uint64
	PruningSeed       uint32
	RPCCreditsPerHash uint32
	SupportFlags      uint32
	RPCPort           uint16

	// Incoming is set where the peer opened the connection.
	Incoming bool

	// Socket is the extension that `extended` asks for; nil leaves it out.
	Socket *SocketDetail
}

// SocketDetail is the member `socket` of an extended record.
type SocketDetail struct {
	Local           netip.AddrPort
	TCPState        TCPState
	CongestionState CongestionState
	// CongestionWindow is in segments.
	CongestionWindow uint32
	// RTT, RTTVar and MinRTT are in microseconds; 0 is not known.
	RTT, RTTVar, MinRTT uint32
	// Retransmits is how many segments were sent again in the life of the socket.
	Retransmits uint32
	UID         uint32
	NetNS       uint32
	Inode       uint32
	// DeliveryRate is in bytes per second.
	DeliveryRate uint64
	Cookie       uint64
	// PID is 0 and ProcessName "" where the owner is not known.
	PID         int32
	ProcessName string
	// Container is nil where there is none; its members are then "".
	Container *Container
	// LiveTimeExact is false where live_time is only a floor.
	LiveTimeExact bool
}

// Connection returns the record of the socket at index i. It asks nothing of
// the socket's state: the caller leaves out those that are no connection.
func (s *Snapshot) Connection(i int) Connection {
	sock, known := &s.Sockets[i], &s.Known[i]
	live := uint64(max(known.Age, 0) / time.Second)
	c := Connection{
		ID:              known.ID,
		Remote:          s.Remote(i),
		State:           sock.State.PeerState(),
		LiveTime:        live,
		RecvCount:       sock.RecvCount(),
		SendCount:       sock.SendCount(),
		RecvIdleTime:    idleTime(sock, sock.LastDataRecv, live),
		SendIdleTime:    idleTime(sock, sock.LastDataSent, live),
		CurrentDownload: known.Download / 1024,
		CurrentUpload:   known.Upload / 1024,
		Incoming:        known.Incoming,
	}
	if live > 0 {
		c.AvgDownload = c.RecvCount / live / 1024
		c.AvgUpload = c.SendCount / live / 1024
	}
	return c
}

// idleTime is ms in whole seconds, never above live. Before the handshake
// there is no such time in the kernel (its stamps are still zero, which reads
// as an age of weeks): nothing was exchanged since the opening.
func idleTime(s *Socket, ms uint32, live uint64) uint64 {
	if !s.HasTimes() || s.State == SynSent {
		return live
	}
	return min(uint64(ms)/1000, live)
}

// Detail returns the extension of the record of the socket at index i.
func (s *Snapshot) Detail(i int) SocketDetail {
	sock := &s.Sockets[i]
	d := SocketDetail{
		Local:            s.Local(i),
		TCPState:         sock.State,
		CongestionState:  sock.CongestionState,
		CongestionWindow: sock.CongestionWindow,
		RTT:              sock.RTT,
		RTTVar:           sock.RTTVar,
		MinRTT:           sock.MinRTT,
		Retransmits:      sock.TotalRetrans,
		UID:              sock.UID,
		NetNS:            sock.NetNS,
		Inode:            sock.Inode,
		DeliveryRate:     sock.DeliveryRate,
		Cookie:           sock.Cookie,
		Container:        s.Container(i),
		LiveTimeExact:    s.Known[i].AgeExact,
	}
	if d.MinRTT == ^uint32(0) { // tcp_min_rtt before the first measurement
		d.MinRTT = 0
	}
	if owner := s.Owner(i); owner != nil {
		d.PID, d.ProcessName = owner.PID, owner.Name
	}
	return d
}

// AppendJSON appends the record to dst. It is written by hand because
// encoding/json costs several allocations a record (BenchmarkConnectionJSON);
// TestConnectionJSON holds it against encoding/json.
func (c *Connection) AppendJSON(dst []byte) []byte {
	addr, port := c.Remote.Addr(), c.Remote.Port()
	dst = append(dst, `{"address":"`...)
	// The address stands in the record twice more: to copy it costs a tenth of
	// what it costs to write it.
	dst, host, hostEnd := appendEndpoint(dst, addr, port)
	dst = appendUintMember(dst, `","address_type":`, uint64(addressType(addr)))
	dst = appendUintMember(dst, `,"avg_download":`, c.AvgDownload)
	dst = appendUintMember(dst, `,"avg_upload":`, c.AvgUpload)
	dst = append(dst, `,"connection_id":"`...)
	dst = hex.AppendEncode(dst, c.ID[:])
	dst = appendUintMember(dst, `","current_download":`, c.CurrentDownload)
	dst = appendUintMember(dst, `,"current_upload":`, c.CurrentUpload)
	dst = appendUintMember(dst, `,"height":`, c.Height)
	dst = append(dst, `,"host":"`...)
	dst = append(dst, dst[host:hostEnd]...)
	dst = append(dst, `","incoming":`...)
	dst = strconv.AppendBool(dst, c.Incoming)
	dst = append(dst, `,"ip":"`...)
	dst = append(dst, dst[host:hostEnd]...)
	dst = appendUintMember(dst, `","live_time":`, c.LiveTime)
	dst = append(dst, `,"local_ip":`...)
	dst = strconv.AppendBool(dst, isLocalIP(addr))
	dst = append(dst, `,"localhost":`...)
	dst = strconv.AppendBool(dst, addr.IsLoopback())
	dst = append(dst, `,"peer_id":"`...)
	dst = appendHex64(dst, c.PeerID)
	dst = appendUintMember(dst, `","port":"`, uint64(port))
	dst = appendUintMember(dst, `","pruning_seed":`, uint64(c.PruningSeed))
	dst = appendUintMember(dst, `,"recv_count":`, c.RecvCount)
	dst = appendUintMember(dst, `,"recv_idle_time":`, c.RecvIdleTime)
	dst = appendUintMember(dst, `,"rpc_credits_per_hash":`, uint64(c.RPCCreditsPerHash))
	dst = appendUintMember(dst, `,"rpc_port":`, uint64(c.RPCPort))
	dst = appendUintMember(dst, `,"send_count":`, c.SendCount)
	dst = appendUintMember(dst, `,"send_idle_time":`, c.SendIdleTime)
	if c.Socket != nil {
		dst = append(dst, `,"socket":`...)
		dst = c.Socket.appendJSON(dst)
	}
	dst = append(dst, `,"state":"`...)
	dst = append(dst, c.State...)
	dst = appendUintMember(dst, `","support_flags":`, uint64(c.SupportFlags))
	return append(dst, '}')
}

func (d *SocketDetail) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"congestion_state":"`...)
	dst = append(dst, d.CongestionState.String()...)
	dst = appendUintMember(dst, `","congestion_window":`, uint64(d.CongestionWindow))
	dst = d.Container.appendMembers(dst)
	dst = appendUintMember(dst, `,"cookie":`, d.Cookie)
	dst = appendUintMember(dst, `,"delivery_rate":`, d.DeliveryRate)
	dst = appendUintMember(dst, `,"inode":`, uint64(d.Inode))
	dst = append(dst, `,"live_time_exact":`...)
	dst = strconv.AppendBool(dst, d.LiveTimeExact)
	dst = append(dst, `,"local_address":"`...)
	dst, _, _ = appendEndpoint(dst, d.Local.Addr(), d.Local.Port())
	dst = appendUintMember(dst, `","min_rtt_us":`, uint64(d.MinRTT))
	dst = appendUintMember(dst, `,"netns":`, uint64(d.NetNS))
	dst = appendUintMember(dst, `,"pid":`, uint64(d.PID))
	dst = append(dst, `,"process_name":`...)
	dst = appendString(dst, d.ProcessName)
	dst = appendUintMember(dst, `,"retransmits":`, uint64(d.Retransmits))
	dst = appendUintMember(dst, `,"rtt_us":`, uint64(d.RTT))
	dst = appendUintMember(dst, `,"rttvar_us":`, uint64(d.RTTVar))
	dst = append(dst, `,"tcp_state":"`...)
	dst = append(dst, d.TCPState.String()...)
	dst = appendUintMember(dst, `","uid":`, uint64(d.UID))
	return append(dst, '}')
}

// addressType is monerod's address_type: 1 IPv4, 2 IPv6 (epee's
// address_type enumeration; 3 and 4 are I2P and Tor).
func addressType(addr netip.Addr) int {
	if addr.Is4() {
		return 1
	}
	return 2
}

// isLocalIP is monerod's local_ip: the private IPv4 networks of RFC 1918, and
// IPv6 link-local.
func isLocalIP(addr netip.Addr) bool {
	if addr.Is4() {
		return addr.IsPrivate()
	}
	return addr.IsLinkLocalUnicast()
}
