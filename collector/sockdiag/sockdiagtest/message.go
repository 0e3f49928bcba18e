//go:build linux

package sockdiagtest

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Attribute is one struct nlattr.
type Attribute struct {
	Type  uint16
	Value []byte
}

// Payload returns the bytes of an inet_diag_msg that says of a socket what s
// says, followed by tcp_info of s.InfoLen bytes (none if 0) and the other
// attributes that s has, then extra.
func Payload(s model.Socket, extra ...Attribute) []byte {
	b := make([]byte, 72)
	b[0], b[1] = byte(s.Family), byte(s.State)
	binary.BigEndian.PutUint16(b[4:], s.LocalPort)
	binary.BigEndian.PutUint16(b[6:], s.RemotePort)
	if s.Family == model.IPv4 {
		copy(b[8:], s.LocalIP[12:])
		copy(b[24:], s.RemoteIP[12:])
	} else {
		copy(b[8:], s.LocalIP[:])
		copy(b[24:], s.RemoteIP[:])
	}
	for at, value := range map[int]uint32{
		40: s.Interface, 44: uint32(s.Cookie), 48: uint32(s.Cookie >> 32),
		56: s.RecvQueue, 60: s.SendQueue, 64: s.UID, 68: s.Inode,
	} {
		binary.NativeEndian.PutUint32(b[at:], value)
	}
	b = appendAttribute(b, Attribute{Type: 8, Value: []byte{s.Shutdown}})
	if s.V6Only {
		b = appendAttribute(b, Attribute{Type: 11, Value: []byte{1}})
	}
	if s.CgroupID != 0 {
		b = appendAttribute(b, Attribute{Type: 21, Value: binary.NativeEndian.AppendUint64(nil, s.CgroupID)})
	}
	if s.InfoLen > 0 {
		b = appendAttribute(b, Attribute{Type: 2, Value: info(s)})
	}
	for _, a := range extra {
		b = appendAttribute(b, a)
	}
	return b
}

func appendAttribute(b []byte, a Attribute) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(a.Value)))
	b = binary.NativeEndian.AppendUint16(b, a.Type)
	return pad(append(b, a.Value...))
}

// info is tcp_info, cut or lengthened to s.InfoLen bytes; what is behind the
// fields that this project reads is filled with ones, so that reading it shows.
func info(s model.Socket) []byte {
	info := unix.TCPInfo{
		State:          uint8(s.State),
		Ca_state:       uint8(s.CongestionState),
		Unacked:        s.Unacked,
		Last_data_sent: s.LastDataSent,
		Last_data_recv: s.LastDataRecv,
		Rtt:            s.RTT,
		Rttvar:         s.RTTVar,
		Snd_cwnd:       s.CongestionWindow,
		Total_retrans:  s.TotalRetrans,
		Bytes_acked:    s.BytesAcked,
		Bytes_received: s.BytesReceived,
		Notsent_bytes:  s.NotSent,
		Min_rtt:        s.MinRTT,
		Delivery_rate:  s.DeliveryRate,
		Bytes_sent:     s.BytesSent,
		Bytes_retrans:  s.BytesRetrans,
	}
	b := make([]byte, max(int(s.InfoLen), int(unsafe.Sizeof(info))))
	for i := range b {
		b[i] = 0xff
	}
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Offsetof(info.Dsack_dups)))
	return b[:s.InfoLen]
}
