//go:build linux

package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// ErrMalformed is wrapped by every error about bytes that do not have the
// shape that include/uapi/linux/netlink.h and inet_diag.h give them.
var ErrMalformed = errors.New("malformed sock_diag message")

// sizeofMsg is sizeof(struct inet_diag_msg).
const sizeofMsg = 72

// parseMessage reads one inet_diag_msg and its attributes (the payload of a
// netlink message) into s, which it overwrites. Attributes that it does not
// know, and what a newer kernel appends to tcp_info, are passed over. Seen and
// NetNS are the caller's to set.
func parseMessage(b []byte, s *model.Socket) error {
	if len(b) < sizeofMsg {
		return fmt.Errorf("%w: %d bytes, want at least the %d of inet_diag_msg", ErrMalformed, len(b), sizeofMsg)
	}
	// Offsets within struct inet_diag_msg. Ports and addresses are in network
	// byte order, all else in the host's.
	*s = model.Socket{
		Family:     model.Family(b[0]),
		State:      model.TCPState(b[1]),
		LocalPort:  binary.BigEndian.Uint16(b[4:]),
		RemotePort: binary.BigEndian.Uint16(b[6:]),
		Interface:  binary.NativeEndian.Uint32(b[40:]),
		Cookie:     uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32,
		RecvQueue:  binary.NativeEndian.Uint32(b[56:]),
		SendQueue:  binary.NativeEndian.Uint32(b[60:]),
		UID:        binary.NativeEndian.Uint32(b[64:]),
		Inode:      binary.NativeEndian.Uint32(b[68:]),
	}
	switch s.Family {
	case model.IPv4:
		s.LocalIP = mapped4(b[8:12])
		s.RemoteIP = mapped4(b[24:28])
	case model.IPv6:
		copy(s.LocalIP[:], b[8:24])
		copy(s.RemoteIP[:], b[24:40])
	default:
		return fmt.Errorf("%w: address family %d, want AF_INET or AF_INET6", ErrMalformed, b[0])
	}
	return parseAttributes(b[sizeofMsg:], s)
}

// mapped4 returns a 4-byte address as the IPv4-mapped IPv6 one.
func mapped4(b []byte) (ip [16]byte) {
	ip[10], ip[11] = 0xff, 0xff
	copy(ip[12:], b)
	return ip
}

// parseAttributes reads the struct nlattr list behind an inet_diag_msg.
func parseAttributes(b []byte, s *model.Socket) error {
	for len(b) > 0 {
		if len(b) < unix.SizeofNlAttr {
			return fmt.Errorf("%w: %d stray bytes behind the last attribute", ErrMalformed, len(b))
		}
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			return fmt.Errorf("%w: attribute of %d bytes where %d are left", ErrMalformed, size, len(b))
		}
		value := b[unix.SizeofNlAttr:size]
		switch kind := binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask; kind {
		case attrInfo:
			parseInfo(value, s)
		case attrShutdown:
			if len(value) < 1 {
				return shortAttribute("INET_DIAG_SHUTDOWN", value, 1)
			}
			s.Shutdown = value[0]
		case attrV6Only:
			if len(value) < 1 {
				return shortAttribute("INET_DIAG_SKV6ONLY", value, 1)
			}
			s.V6Only = value[0] != 0
		case attrCgroupID:
			if len(value) < 8 {
				return shortAttribute("INET_DIAG_CGROUP_ID", value, 8)
			}
			s.CgroupID = binary.NativeEndian.Uint64(value)
		}
		b = b[min(align4(size), len(b)):]
	}
	return nil
}

func shortAttribute(name string, value []byte, want int) error {
	return fmt.Errorf("%w: %s of %d bytes, want %d", ErrMalformed, name, len(value), want)
}

// nlaTypeMask is NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const nlaTypeMask = 0x3fff

// align4 is NLMSG_ALIGN and NLA_ALIGN.
func align4(n int) int { return (n + 3) &^ 3 }

// infoUsed is how much of tcp_info is read: up to tcpi_bytes_retrans.
const infoUsed = int(unsafe.Offsetof(unix.TCPInfo{}.Bytes_retrans)) + 8

// parseInfo reads struct tcp_info, which grows at its end with every few
// kernel versions: a shorter one leaves the missing fields zero, and what is
// longer is not looked at.
func parseInfo(b []byte, s *model.Socket) {
	s.InfoLen = uint16(min(len(b), 0xffff))
	if len(b) < infoUsed {
		var whole [infoUsed]byte
		copy(whole[:], b)
		b = whole[:]
	}
	u32 := func(offset uintptr) uint32 { return binary.NativeEndian.Uint32(b[offset:]) }
	u64 := func(offset uintptr) uint64 { return binary.NativeEndian.Uint64(b[offset:]) }
	var info unix.TCPInfo // for its offsets, which are compile-time constants
	s.CongestionState = model.CongestionState(b[unsafe.Offsetof(info.Ca_state)])
	s.Unacked = u32(unsafe.Offsetof(info.Unacked))
	s.LastDataSent = u32(unsafe.Offsetof(info.Last_data_sent))
	s.LastDataRecv = u32(unsafe.Offsetof(info.Last_data_recv))
	s.RTT = u32(unsafe.Offsetof(info.Rtt))
	s.RTTVar = u32(unsafe.Offsetof(info.Rttvar))
	s.CongestionWindow = u32(unsafe.Offsetof(info.Snd_cwnd))
	s.TotalRetrans = u32(unsafe.Offsetof(info.Total_retrans))
	s.BytesAcked = u64(unsafe.Offsetof(info.Bytes_acked))
	s.BytesReceived = u64(unsafe.Offsetof(info.Bytes_received))
	s.NotSent = u32(unsafe.Offsetof(info.Notsent_bytes))
	s.MinRTT = u32(unsafe.Offsetof(info.Min_rtt))
	s.DeliveryRate = u64(unsafe.Offsetof(info.Delivery_rate))
	s.BytesSent = u64(unsafe.Offsetof(info.Bytes_sent))
	s.BytesRetrans = u64(unsafe.Offsetof(info.Bytes_retrans))
}
