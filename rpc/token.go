package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The bounds of an access token, in characters. No name in the daemon's own paths is as long as the shortest token, so
// that none can be one by accident.
const (
	minTokenLength = 16
	maxTokenLength = 256
)

// An AccessToken is the first segment of the paths that a client may use. It is kept as a hash, so that it can be compared
// and not read, neither from memory nor, however it is printed or marshalled, from a log.
type AccessToken struct{ sum [sha256.Size]byte }

// ParseAccessToken reads a token: 16 to 256 of the characters that stand in a URL as they are. The error does not quote
// what it read.
func ParseAccessToken(s string) (AccessToken, error) {
	if !isToken(s) {
		return AccessToken{}, fmt.Errorf("want %d to %d characters of A-Z, a-z, 0-9, ., _, ~ and -, as %s prints",
			minTokenLength, maxTokenLength, "openssl rand -hex 16")
	}
	return AccessToken{sha256.Sum256([]byte(s))}, nil
}

// isToken reports whether s could be a token: some unreserved characters of RFC 3986.
func isToken(s string) bool {
	if len(s) < minTokenLength || len(s) > maxTokenLength {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("._~-", b) >= 0) {
			return false
		}
	}
	return true
}

// Format prints the same for every verb, so that there is none that prints the hash.
func (t AccessToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (t AccessToken) String() string { return redacted }

// MarshalText is what encoding/json and with it the log write.
func (t AccessToken) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// isOneOf reports whether candidate is one of tokens. Hashes are compared, and all of them whatever the outcome, so that
// the time says nothing of the tokens but how many there are; equal is subtle.ConstantTimeCompare.
func isOneOf(candidate string, tokens []AccessToken, equal func(x, y []byte) int) bool {
	sum := sha256.Sum256([]byte(candidate))
	found := 0
	for i := range tokens {
		found |= equal(sum[:], tokens[i].sum[:])
	}
	return found == 1
}

// A door sends each request on without the first segment of its path, to the handler that this segment opens.
type door struct {
	tokens []AccessToken

	right http.Handler // the segment is one of the tokens
	guess http.Handler // it is not, but could have been
	other http.Handler // it could be no token at all
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	candidate, rest := cutFirstSegment(r)
	next := d.other
	if isToken(candidate) {
		next = d.guess
	}
	if isOneOf(candidate, d.tokens, subtle.ConstantTimeCompare) {
		next = d.right
	}
	next.ServeHTTP(w, rest)
}

// cutFirstSegment returns the first segment of the path of r as it was sent, and r for what follows: /TOKEN and /TOKEN/
// are /. RequestURI stays, which the digest login is computed over.
func cutFirstSegment(r *http.Request) (first string, rest *http.Request) {
	first, below, _ := strings.Cut(strings.TrimPrefix(sentPath(r), "/"), "/")
	rest = r.WithContext(r.Context())
	rest.URL = new(url.URL)
	*rest.URL = *r.URL
	rest.URL.Path = "/" + below
	if r.URL.RawPath != "" {
		rest.URL.RawPath = "/" + below
		rest.URL.Path, _ = url.PathUnescape(rest.URL.RawPath) // part of a path that net/url has read
	}
	return first, rest
}

// sentPath is the path of r that routes are chosen by, as chi does: with its escapes, if it has any that are not needed.
func sentPath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}
