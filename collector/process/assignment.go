package process

import "strings"

// closers may stand between a name and the mark behind it: "password": and
// set[password]=.
const closers = quotes + `\])}`

// assignments looks for names with a mark behind them, = or :, in the first
// bytes of value. The spans of secrets among what they are set to, at offset,
// are appended to hidden; open is true if one goes to the end of value, and next
// is what is expected behind a name with nothing behind it.
func assignments(hidden []span, value string, first, offset int) (_ []span, open bool, next expectation) {
	for i := 0; i < first; i++ {
		if value[i] != '=' && value[i] != ':' {
			continue
		}
		end := i
		for end > 0 && strings.IndexByte(closers, value[end-1]) >= 0 {
			end--
		}
		start := end
		for start > 0 && isNamed(value[start-1]) {
			start--
		}
		n := nameOf(value[start:end])
		set := value[i+1:]
		isParameter := start > 0 && (value[start-1] == '?' || value[start-1] == '&')
		if isParameter {
			set, _, _ = strings.Cut(set, "&")
		}
		switch {
		case n.isSecret() && !isPlain(set) && !isAddress(value[:start], n, value[end:]):
		case n.isUser() && value[i] == '=' && strings.Contains(set, ":"):
		default:
			continue
		}
		from := i + 1
		for from < len(value) && isBlank(value[from]) {
			from++
		}
		to := i + 1 + len(set)
		switch {
		case from < to:
			hidden = append(hidden, span{offset + from, offset + to})
			if to == len(value) {
				return hidden, true, anything
			}
			i = to
		case !isParameter:
			return hidden, false, aSecret
		}
	}
	return hidden, false, anything
}

// isAddress reports whether a name with a colon behind it, which could tell of a
// secret, is a host all the same: auth in http://auth:8080/, and what has more
// parts, such as auth-service:8080 and login.example.com:443.
func isAddress(before string, n name, behind string) bool {
	port, ok := strings.CutPrefix(behind, ":")
	if ok && strings.HasSuffix(before, "://") {
		return true // or a user, whose password credentials finds
	}
	return ok && !n.endsInSecret() && startsWithPort(port)
}
