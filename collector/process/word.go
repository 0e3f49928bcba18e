package process

import (
	"iter"
	"regexp"
	"strings"
)

// quotes are what strings are put between.
const quotes = "\"'`"

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// wordsOf yields the parts of s between blanks.
func wordsOf(s string) iter.Seq[span] {
	return func(yield func(span) bool) {
		for at := 0; at < len(s); {
			if isBlank(s[at]) {
				at++
				continue
			}
			from := at
			for at < len(s) && !isBlank(s[at]) {
				at++
			}
			if !yield(span{from, at}) {
				return
			}
		}
	}
}

var (
	flagShape = regexp.MustCompile(`^(?:-[A-Za-z]|--[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*(?:=.*)?)$`)
	portShape = regexp.MustCompile(`^` + onePort + `(?:,` + onePort + `)*$`)
)

// onePort is a port or a range of ports, with what docker run -p and many
// servers take before and behind it: an address, a second port, a protocol.
const onePort = `(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]|\*|localhost)?:)?\d{1,5}(?:-\d{1,5})?(?::\d{1,5}(?:-\d{1,5})?)?(?:/(?:tcp|udp|sctp))?`

// isFlag reports whether s is written as flags are: -x or --words, which may
// have a value behind an equals sign.
func isFlag(s string) bool { return flagShape.MatchString(s) }

// isPort reports whether s is a port, or ports, as onePort says.
func isPort(s string) bool {
	if !portShape.MatchString(s) {
		return false
	}
	for number := range strings.FieldsFuncSeq(s, func(c rune) bool { return c < '0' || c > '9' }) {
		if len(number) == len("65535") && number > "65535" {
			return false
		}
	}
	return true
}

// startsWithPort reports whether s, what stands behind a colon, is the port of
// an address.
func startsWithPort(s string) bool {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	return isPort(s[:end]) && (end == len(s) || strings.IndexByte("/,;?#)]} \t\"'", s[end]) >= 0)
}

// isPlain reports whether s is a value that is no secret whatever its name.
func isPlain(s string) bool { return s == "true" || s == "false" || s == "none" }

// isScheme reports whether s is how HTTP calls a kind of credentials, which
// stand behind it (RFC 9110, section 11). Bearer is a name that tells of a
// secret in any case.
func isScheme(s string) bool {
	return strings.EqualFold(s, "basic") || strings.EqualFold(s, "digest") || strings.EqualFold(s, "negotiate")
}
