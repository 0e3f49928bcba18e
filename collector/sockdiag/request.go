//go:build linux

package sockdiag

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
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

// request is struct inet_diag_req of include/uapi/linux/inet_diag.h. Of the
// socket id a dump heeds the ports alone, and where they are zero nothing.
// Bytecode, if there is any, follows as the attribute INET_DIAG_REQ_BYTECODE.
type request struct{ Only }

// sizeofRequest is sizeof(struct inet_diag_req).
const sizeofRequest = 60

// attrBytecode is INET_DIAG_REQ_BYTECODE.
const attrBytecode = 1

// Len and Serialize make request an nl.NetlinkRequestData.
func (r request) Len() int { return len(r.Serialize()) }

// Serialize returns the 60 bytes of struct inet_diag_req: family, src_len,
// dst_len, ext (one byte each), id (48), states (4), dbs (4). The kernel
// ignores the family of this request type.
func (r request) Serialize() []byte {
	b := make([]byte, sizeofRequest)
	b[0] = unix.AF_INET
	b[3] = 1 << (attrInfo - 1)                     // the other attributes come unasked
	binary.BigEndian.PutUint16(b[4:], r.localPort) // struct inet_diag_sockid: sport, dport, src...
	binary.BigEndian.PutUint16(b[6:], r.remotePort)
	states := allStates
	if r.states != 0 {
		states &= r.states
	}
	binary.NativeEndian.PutUint32(b[52:], uint32(states))
	if r.bytecode == "" {
		return b
	}
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(r.bytecode)))
	b = binary.NativeEndian.AppendUint16(b, attrBytecode)
	return append(b, r.bytecode...) // whose length is a multiple of four
}

func newRequest(only Only) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(getSock, unix.NLM_F_DUMP)
	req.AddData(request{only})
	return req
}
