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
	ContainerName      string
	Address            netip.Addr
	AddressDescription string
	Port               uint16
	ProcessIconType    string
	// Command is the owner's command line.
	Command string
	// NetNS is Snapshot.NetNSLabel.
	NetNS string
	// Socket is the extension that `extended` asks for; nil leaves it out.
	Socket *SocketDetail
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
	if l.ContainerName != "" {
		dst = append(dst, `,"containerName":`...)
		dst = appendString(dst, l.ContainerName)
	}
	dst = append(dst, `,"processIconType":`...)
	dst = appendString(dst, l.ProcessIconType)
	dst = append(dst, `,"address":"`...)
	dst = l.Address.AppendTo(dst)
	dst = append(dst, `","addressDescription":`...)
	dst = appendString(dst, l.AddressDescription)
	dst = appendUintMember(dst, `,"port":`, uint64(l.Port))
	if l.Command != "" {
		dst = append(dst, `,"cmd":`...)
		dst = appendString(dst, l.Command)
	}
	return appendRest(dst, l.NetNS, l.Socket)
}

// appendRest ends a record with what the contract of the endpoint does not have:
// netns where it is not of the daemon's own namespace, and socket where it was
// asked for.
func appendRest(dst []byte, netns string, socket *SocketDetail) []byte {
	if netns != "" {
		dst = appendString(append(dst, `,"netns":`...), netns)
	}
	if socket != nil {
		dst = socket.appendJSON(append(dst, `,"socket":`...))
	}
	return append(dst, '}')
}

// unknownProcess stands for the name of a process that cannot be seen.
const unknownProcess = "unknown"

// DescribeBind says in words who can reach the listener at index i: the
// contract's addressDescription.
func (s *Snapshot) DescribeBind(i int) string {
	sock := &s.Sockets[i]
	addr := sock.Local().Addr()
	family := "IPv6"
	switch {
	case addr.Is4():
		family = "IPv4"
	case addr.IsUnspecified() && !sock.V6Only:
		family = "IPv4 and IPv6"
	case addr.IsLinkLocalUnicast():
		family = "IPv6 link-local"
	}
	device := s.boundInterface(i)
	switch {
	case addr.IsLoopback():
		return "Localhost only (" + family + ")"
	case device != "":
		return "Listening on " + device + " only (" + family + ")"
	case addr.IsUnspecified() && sock.Interface == 0:
		return "Listening on all " + family + " interfaces"
	case addr.IsUnspecified():
		return "Listening on one interface only (" + family + ")"
	default:
		return "Listening on " + addr.String() + " only (" + family + ")"
	}
}
