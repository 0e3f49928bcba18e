//go:build linux

package sockdiag

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Only says which sockets a dump is to have. The kernel leaves out the others,
// so that a dump of few of many sockets costs the walk of the tables and not
// the copy. The zero Only is all of them. Two that are equal ask for the same.
type Only struct {
	states model.StateSet // empty: all
	// localPort and remotePort, unless 0, are the only ones. The kernel compares
	// them before it gathers what bytecode can look at, which lies all over a socket
	// (inet_diag_dump_icsk in net/ipv4/inet_diag.c).
	localPort, remotePort uint16
	bytecode              string  // INET_DIAG_REQ_BYTECODE
	listeners             bool    // states has LISTEN because of WithListeners
	noInfo                bool    // none is told with its tcp_info
	parting               Parting // of all of them
}

// NewOnly returns the Only of the connections for what a filter says of states,
// ports and remote addresses. What else it says is the reader's to look at.
func NewOnly(f *model.Filter) Only {
	var groups []alternatives
	add := func(a alternatives) {
		if len(a) > 0 {
			groups = append(groups, a)
		}
	}
	o := Only{states: f.States}
	if len(f.LocalPorts) == 1 {
		o.localPort = f.LocalPorts[0]
	} else {
		add(ports(opLocalPort, f.LocalPorts))
	}
	if len(f.RemotePorts) == 1 {
		o.remotePort = f.RemotePorts[0]
	} else {
		add(ports(opRemotePort, f.RemotePorts))
	}
	add(networks(f.RemoteAddresses))
	o.bytecode = string(program(groups))
	if o.states == 0 && o != (Only{}) {
		o.states = connectionStates
	}
	return o
}

// All reports whether o leaves no socket out.
func (o Only) All() bool {
	o.noInfo, o.parting = false, Parting{}
	return o == Only{}
}

// WithoutInfo returns the Only of the same sockets of which the kernel does not
// tell tcp_info: the counters and times of a connection. That is two thirds of the
// bytes that it tells of one, and a fifth of the time that it takes.
func (o Only) WithoutInfo() Only {
	o.noInfo = true
	return o
}

// HasInfo reports whether a dump of o has the tcp_info of the sockets.
func (o Only) HasInfo() bool { return !o.noInfo }

// many reports whether o leaves out few of what a host has as a rule.
func (o Only) many() bool {
	return o.localPort == 0 && o.remotePort == 0 && o.bytecode == "" && (o.states == 0 || o.states.Has(model.Established))
}

// LocalPort returns the only local port that o has connections of, 0 if there is none.
func (o Only) LocalPort() uint16 { return o.localPort }

// OnlyListeners is the Only of the listening sockets, which costs no walk of the
// table of connections.
func OnlyListeners() Only { return Only{states: model.States(model.Listen)} }

// WithListeners returns the Only of the connections of o and of the sockets that
// listen where they may have been accepted, and false if one dump cannot have
// both: who has accepted a connection listens on its local port, and o must say
// that port, and nothing that no listener has.
func (o Only) WithListeners() (Only, bool) {
	if o.localPort == 0 || o.remotePort != 0 || o.bytecode != "" {
		return o, false
	}
	o.states |= model.States(model.Listen)
	o.listeners = true
	return o, true
}

// HasListeners reports whether a dump of o has those that listen too, as far as
// they are of use.
func (o Only) HasListeners() bool { return o.All() || o == OnlyListeners() || o.listeners }

// Operations of inet_diag_bc_op (include/uapi/linux/inet_diag.h).
const (
	opJump          = 1  // INET_DIAG_BC_JMP
	opLocalPortGE   = 2  // INET_DIAG_BC_S_GE
	opLocalPortLE   = 3  // INET_DIAG_BC_S_LE
	opRemotePortGE  = 4  // INET_DIAG_BC_D_GE
	opRemotePortLE  = 5  // INET_DIAG_BC_D_LE
	opRemoteAddress = 8  // INET_DIAG_BC_D_COND
	opLocalPort     = 11 // INET_DIAG_BC_S_EQ, Linux 4.16
	opRemotePort    = 12 // INET_DIAG_BC_D_EQ
)

// sizeofOp is sizeof(struct inet_diag_bc_op): code (u8), yes (u8), no (u16).
const sizeofOp = 4

// alternatives are conditions of which one has to hold.
type alternatives []condition

// condition is one comparison: an operation and the bytes of its operand.
type condition struct {
	code    byte
	operand []byte
}

func (c condition) size() int { return sizeofOp + len(c.operand) }

// ports are the conditions that a port is one of several. The operand is the
// member no of another inet_diag_bc_op.
func ports(code byte, ports []uint16) (a alternatives) {
	for _, port := range ports {
		operand := make([]byte, sizeofOp)
		binary.NativeEndian.PutUint16(operand[2:], port)
		a = append(a, condition{code, operand})
	}
	return a
}

// networks are the conditions that the remote address is in one of several. The
// operand is struct inet_diag_hostcond: family (u8), prefix_len (u8), two bytes
// of padding, port (int, -1 for any), and the address. The kernel takes an
// IPv4-mapped address for IPv4.
func networks(networks []netip.Prefix) (a alternatives) {
	for _, network := range networks {
		addr := network.Addr()
		operand := []byte{unix.AF_INET, byte(network.Bits()), 0, 0}
		if addr.Is6() {
			operand[0] = unix.AF_INET6
		}
		operand = binary.NativeEndian.AppendUint32(operand, ^uint32(0))
		a = append(a, condition{opRemoteAddress, append(operand, addr.AsSlice()...)})
	}
	return a
}

// program returns the bytecode that takes a socket for which, of every group,
// one condition holds (inet_diag_bc_run in net/ipv4/inet_diag.c). Each operation
// says how many bytes to go on if it holds, and how many if not; a socket is
// taken where that ends just behind the last, and refused where it ends four
// bytes further.
//
// A condition can only go on a few bytes if it holds, so behind each but the
// last of a group stands a jump over the rest of the group.
func program(groups []alternatives) (code []byte) {
	size := 0
	for _, group := range groups {
		size += group.size()
	}
	for _, group := range groups {
		end := len(code) + group.size()
		for i, c := range group {
			last := i == len(group)-1
			otherwise := c.size() + sizeofOp // the next condition
			if last {
				otherwise = size - len(code) + sizeofOp // refused
			}
			code = appendOp(code, c.code, c.size(), otherwise)
			code = append(code, c.operand...)
			if !last {
				code = appendOp(code, opJump, sizeofOp, end-len(code))
			}
		}
	}
	return code
}

func (a alternatives) size() (n int) {
	for _, c := range a {
		n += c.size() + sizeofOp
	}
	return n - sizeofOp // no jump behind the last
}

func appendOp(code []byte, op byte, yes, no int) []byte {
	return binary.NativeEndian.AppendUint16(append(code, op, byte(yes)), uint16(no))
}
