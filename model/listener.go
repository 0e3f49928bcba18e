package model

import (
	"net/netip"
)

// Listener is a listening TCP socket, as GET /api/connections gives it. A
// member that is not known is left out; ProcessName, which the contract
// requires, is then "unknown".
type Listener struct {
	PID                int32
	ProcessName        string
	ServiceLabel       string
	Address            netip.Addr
	AddressDescription string
	Port               uint16
	ProcessIconType    string
	// NetNS is Snapshot.NetNSLabel.
	NetNS string
}

// AppendJSON appends the listener to dst.
func (l *Listener) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if l.PID != 0 {
		dst = appendUintMember(dst, `"pid":`, uint64(l.PID))
		dst = append(dst, ',')
	}
	name := l.ProcessName
	if name == "" {
		name = unknownProcess
	}
	dst = append(dst, `"processName":`...)
	dst = appendString(dst, name)
	if l.ServiceLabel != "" {
		dst = append(dst, `,"serviceLabel":`...)
		dst = appendString(dst, l.ServiceLabel)
	}
	dst = append(dst, `,"processIconType":`...)
	dst = appendString(dst, l.ProcessIconType)
	dst = append(dst, `,"address":"`...)
	dst = l.Address.AppendTo(dst)
	dst = append(dst, `","addressDescription":`...)
	dst = appendString(dst, l.AddressDescription)
	dst = appendUintMember(dst, `,"port":`, uint64(l.Port))
	dst = appendNetNS(dst, l.NetNS)
	return append(dst, '}')
}

// appendNetNS appends the member netns, which the contract of the endpoint does
// not have, of a record that is not of the daemon's own namespace.
func appendNetNS(dst []byte, label string) []byte {
	if label == "" {
		return dst
	}
	return appendString(append(dst, `,"netns":`...), label)
}

// unknownProcess stands for the name of a process that cannot be seen.
const unknownProcess = "unknown"

// DescribeBind says in words who can reach a listener that is bound to addr:
// the contract's addressDescription. v6only is whether an IPv6 listener takes
// IPv6 connections only.
func DescribeBind(addr netip.Addr, v6only bool) string {
	switch {
	case addr.IsUnspecified() && addr.Is4():
		return "Listening on all IPv4 interfaces"
	case addr.IsUnspecified() && v6only:
		return "Listening on all IPv6 interfaces"
	case addr.IsUnspecified():
		return "Listening on all IPv4 and IPv6 interfaces"
	case addr.IsLoopback() && addr.Is4():
		return "Localhost only (IPv4)"
	case addr.IsLoopback():
		return "Localhost only (IPv6)"
	case addr.Is4():
		return "Listening on " + addr.String() + " only (IPv4)"
	default:
		return "Listening on " + addr.String() + " only (IPv6)"
	}
}
