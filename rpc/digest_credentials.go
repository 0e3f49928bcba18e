package rpc

import (
	"strconv"
	"strings"
)

// credentials are what a client sends in Authorization: Digest, unquoted.
type credentials struct {
	username, realm, nonce, uri, response, cnonce, qop, algorithm string

	nc uint32 // how many requests, this one included, the client says to have made with the nonce
}

// parseCredentials reads the value of an Authorization header (RFC 9110 section 11.4, RFC 7616 section 3.4). Clients
// differ in which values they quote, so both ways are read for all. Parameters that it does not know are ignored; it
// fails if one that it knows is repeated, empty or missing, but for algorithm, which may be missing.
//
// This is not left to icholy/digest: its parser takes the last of repeated parameters, knows names in lower case only,
// reads "-1", "+1" and "1" as an nc, and replaces bytes that are not UTF-8.
func parseCredentials(header string) (*credentials, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	c := new(credentials)
	var nc string
	known := [...]struct {
		name  string
		value *string
	}{
		{"username", &c.username},
		{"realm", &c.realm},
		{"nonce", &c.nonce},
		{"uri", &c.uri},
		{"response", &c.response},
		{"cnonce", &c.cnonce},
		{"qop", &c.qop},
		{"nc", &nc},
		{"algorithm", &c.algorithm},
	}
	for more := true; more; {
		var name, value string
		var ok bool
		if name, value, rest, ok = cutParameter(rest); !ok {
			return nil, false
		}
		for _, k := range known {
			if !strings.EqualFold(name, k.name) {
				continue
			}
			if value == "" || *k.value != "" {
				return nil, false
			}
			*k.value = value
		}
		more = rest != ""
		if more {
			if rest[0] != ',' {
				return nil, false
			}
			rest = rest[1:]
		}
	}
	if c.algorithm == "" {
		c.algorithm = "MD5"
	}
	for _, k := range known {
		if *k.value == "" {
			return nil, false
		}
	}
	var ok bool
	c.nc, ok = parseNonceCount(nc)
	return c, ok
}

// parseNonceCount reads the eight lower-case hex digits of a count, which begins at 1.
func parseNonceCount(s string) (uint32, bool) {
	if len(s) != 8 || strings.Trim(s, "0123456789abcdef") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err == nil && n > 0
}

// cutParameter reads name=value at the start of s, with the white space around all three, and returns what follows.
func cutParameter(s string) (name, value, rest string, ok bool) {
	name, rest = cutToken(trimSpace(s))
	rest = trimSpace(rest)
	if name == "" || rest == "" || rest[0] != '=' {
		return "", "", "", false
	}
	rest = trimSpace(rest[1:])
	if rest != "" && rest[0] == '"' {
		value, rest, ok = cutQuoted(rest[1:])
	} else {
		value, rest = cutToken(rest)
		ok = value != ""
	}
	return name, value, trimSpace(rest), ok
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t") }

func cutToken(s string) (token, rest string) {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// isTokenByte is tchar of RFC 9110 section 5.6.2.
func isTokenByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// cutQuoted reads a quoted string after its opening quote.
func cutQuoted(s string) (value, rest string, ok bool) {
	end := strings.IndexAny(s, `"\`)
	if end < 0 {
		return "", "", false
	}
	if s[end] == '"' {
		return s[:end], s[end+1:], true
	}
	unescaped := []byte(s[:end])
	for i := end; i < len(s); i++ {
		switch s[i] {
		case '"':
			return string(unescaped), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		unescaped = append(unescaped, s[i])
	}
	return "", "", false
}
