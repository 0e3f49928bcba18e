//go:build linux

package sockdiag

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// getSock is TCPDIAG_GETSOCK of include/uapi/linux/inet_diag.h, the request
// type that came before SOCK_DIAG_BY_FAMILY. It is used because it alone
// returns both address families in one walk of the socket tables: the newer
// type has to be asked once for each, and the walk of a large hash table costs
// more than the few sockets in it.
const getSock = 18

// Attributes of a message: the enum of include/uapi/linux/inet_diag.h.
const (
	attrInfo     = 2  // INET_DIAG_INFO: struct tcp_info
	attrShutdown = 8  // INET_DIAG_SHUTDOWN: u8
	attrV6Only   = 11 // INET_DIAG_SKV6ONLY: u8
	attrCgroupID = 21 // INET_DIAG_CGROUP_ID: u64, Linux 5.7
)

// allStates are the states that a dump asks for: those of connections, and
// LISTEN. TIME_WAIT is left out, since such a socket is nobody's connection
// any more and a busy host has many.
var allStates = model.States(
	model.Established, model.SynSent, model.SynRecv, model.FinWait1, model.FinWait2,
	model.CloseWait, model.LastAck, model.Listen, model.Closing,
)

// connectionStates are those without LISTEN.
var connectionStates = allStates &^ model.States(model.Listen)

// Request is one request, as a [Conn] sends it.
type Request struct {
	// Bytes are struct nlmsghdr (include/uapi/linux/netlink.h), struct inet_diag_req
	// and perhaps an attribute. They are the Dumper's, which uses them again.
	Bytes []byte
	// atOnce is whether the kernel has something to answer soon: where few of many
	// sockets are asked for it can walk all its tables first.
	atOnce bool
}

// Seq is the sequence number, which the answer has too.
func (r Request) Seq() uint32 { return binary.NativeEndian.Uint32(r.Bytes[8:]) }

const (
	// sizeofRequest is sizeof(struct inet_diag_req): family, src_len, dst_len, ext
	// (one byte each), id (48), states (4), dbs (4).
	sizeofRequest = 60
	// attrBytecode is INET_DIAG_REQ_BYTECODE.
	attrBytecode = 1
)

// newRequest returns the next request, without what the kernel is asked for, and
// the place of its struct inet_diag_req. A request is made where the last one
// lay: there is one for each look at a socket, of which a dump of many can take
// hundreds.
func (d *Dumper) newRequest(flags uint16) (r Request, inet []byte) {
	d.seq++
	const size = unix.SizeofNlMsghdr + sizeofRequest
	b := append(d.request[:0], make([]byte, size)...)
	binary.NativeEndian.PutUint32(b, size)
	binary.NativeEndian.PutUint16(b[4:], getSock)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(b[8:], d.seq)
	d.request = b
	inet = b[unix.SizeofNlMsghdr:]
	inet[3] = 1 << (attrInfo - 1) // the other attributes come unasked
	return Request{Bytes: b}, inet
}

// dumpOf is the request for a dump. The kernel ignores the family of this request
// type. Of the socket id it heeds the ports alone, and where they are zero
// nothing.
func (d *Dumper) dumpOf(only Only) Request {
	r, inet := d.newRequest(unix.NLM_F_DUMP)
	r.atOnce = only.many()
	inet[0] = unix.AF_INET
	if only.noInfo {
		inet[3] = 0
	}
	binary.BigEndian.PutUint16(inet[4:], only.localPort) // struct inet_diag_sockid: sport, dport, src...
	binary.BigEndian.PutUint16(inet[6:], only.remotePort)
	states := allStates
	if only.states != 0 {
		states &= only.states
	}
	binary.NativeEndian.PutUint32(inet[52:], uint32(states))
	if only.bytecode == "" {
		return r
	}
	b := binary.NativeEndian.AppendUint16(r.Bytes, uint16(unix.SizeofNlAttr+len(only.bytecode)))
	b = binary.NativeEndian.AppendUint16(b, attrBytecode)
	b = append(b, only.bytecode...) // whose length is a multiple of four
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	r.Bytes, d.request = b, b
	return r
}

// lookupOf is the request for one socket.
func (d *Dumper) lookupOf(id *ID) Request {
	r, inet := d.newRequest(0)
	r.atOnce = true
	inet[0] = byte(id.Family)
	binary.BigEndian.PutUint16(inet[4:], id.LocalPort)
	binary.BigEndian.PutUint16(inet[6:], id.RemotePort)
	if id.Family == model.IPv4 {
		copy(inet[8:24], id.LocalIP[12:])
		copy(inet[24:40], id.RemoteIP[12:])
	} else {
		copy(inet[8:24], id.LocalIP[:])
		copy(inet[24:40], id.RemoteIP[:])
	}
	binary.NativeEndian.PutUint32(inet[40:], id.Interface)
	cookie := id.Cookie
	if cookie == 0 {
		cookie = ^uint64(0) // INET_DIAG_NOCOOKIE, twice
	}
	binary.NativeEndian.PutUint32(inet[44:], uint32(cookie))
	binary.NativeEndian.PutUint32(inet[48:], uint32(cookie>>32))
	return r
}
