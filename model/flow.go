package model

import "net/netip"

// Flow is an established TCP connection, as GET /api/connections gives it,
// from this host's end. A member that is not known is left out.
type Flow struct {
	FromPID         int32
	FromProcessName string
	From, To        netip.AddrPort
	ToLabel         string
	// NetNS is Snapshot.NetNSLabel.
	NetNS string
	// Socket is the extension that `extended` asks for; nil leaves it out.
	Socket *SocketDetail
}

// AppendJSON appends the flow to dst.
func (f *Flow) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if f.FromPID != 0 {
		dst = appendUintMember(dst, `"fromPid":`, uint64(f.FromPID))
		dst = append(dst, ',')
	}
	if f.FromProcessName != "" {
		dst = append(dst, `"fromProcessName":`...)
		dst = appendString(dst, f.FromProcessName)
		dst = append(dst, ',')
	}
	dst = append(dst, `"fromAddress":"`...)
	dst = f.From.Addr().AppendTo(dst)
	dst = appendUintMember(dst, `","fromPort":`, uint64(f.From.Port()))
	dst = append(dst, `,"toAddress":"`...)
	dst = f.To.Addr().AppendTo(dst)
	dst = appendUintMember(dst, `","toPort":`, uint64(f.To.Port()))
	if f.ToLabel != "" {
		dst = append(dst, `,"toLabel":`...)
		dst = appendString(dst, f.ToLabel)
	}
	return appendRest(dst, f.NetNS, f.Socket)
}
