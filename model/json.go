package model

import (
	"net/netip"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendUintMember appends what stands before a number, and the number.
func appendUintMember(dst []byte, before string, n uint64) []byte {
	return strconv.AppendUint(append(dst, before...), n, 10)
}

// appendEndpoint appends host:port, an IPv6 host in brackets. An address has
// no character that JSON escapes, nor has the zone of one (isPlainZone). It
// tells between which indexes the host stands.
func appendEndpoint(dst []byte, addr netip.Addr, port uint16) (extended []byte, host, hostEnd int) {
	if addr.Is4() {
		host = len(dst)
		dst = addr.AppendTo(dst)
		hostEnd = len(dst)
	} else {
		dst = append(dst, '[')
		host = len(dst)
		dst = addr.AppendTo(dst)
		hostEnd = len(dst)
		dst = append(dst, ']')
	}
	return appendUintMember(dst, ":", uint64(port)), host, hostEnd
}

// appendHex64 appends n as 16 hex digits.
func appendHex64(dst []byte, n uint64) []byte {
	if n == 0 { // as in every record, while no handshake is read
		return append(dst, "0000000000000000"...)
	}
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[n>>shift&0xf])
	}
	return dst
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD,
// since a process may call itself anything.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return append(dst, '"')
}
