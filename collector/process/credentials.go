package process

import "strings"

// longestUser is the longest name, in bytes, that is shown of the user in
// scheme://user:password@host. What is longer may be a token: many services
// take one there.
const longestUser = 19

// credentials appends to hidden the span, at offset, of what stands before the
// last @ in s, an address, and lets in: what is behind the first colon, but the
// user's name and the colon behind that in scheme://user:password@host. A
// password can have any character in it, of addresses as well.
func credentials(hidden []span, s string, offset int) []span {
	to := strings.LastIndexByte(s, '@')
	if to < 0 {
		return hidden
	}
	from := strings.IndexByte(s[:to], ':') + 1
	if from == 0 {
		return hidden // somebody's name or address
	}
	if rest, ok := strings.CutPrefix(s[from:to], "//"); ok {
		from += len("//")
		if user, password, ok := strings.Cut(rest, ":"); ok && isUserName(user, password) {
			from += len(user) + 1
		}
	}
	if from == to {
		return hidden
	}
	return append(hidden, span{offset + from, offset + to})
}

// isUserName reports whether what stands in the place of a user's name is one,
// and not a token with nothing, or x-oauth-basic, in the place of the password.
func isUserName(user, password string) bool {
	return len(user) <= longestUser && !strings.ContainsAny(user, "/?#@ ") && password != "" && password != "x-oauth-basic"
}
