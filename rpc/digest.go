package rpc

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/icholy/digest"
)

const digestRealm = "monero-rpc"

// digestAuth is HTTP digest authentication (RFC 7616) as monerod does it: algorithms MD5 and MD5-sess, qop auth.
//
// It differs from monerod, whose nonces live as long as their TCP connection, in that nonces are good for any
// connection, expire, and accept counts out of order; it refuses credentials without qop (RFC 2069), credentials whose
// uri is not that of the request, and a second Authorization header.
type digestAuth struct {
	user      [sha256.Size]byte // hash of the user's name, so that names of all lengths take the same time to compare
	a1        string            // H(user:realm:password), as good as the password
	nonces    *nonces
	onFailure func(client netip.Addr)
}

// newDigestAuth returns the check for login. now is the clock by which nonces expire. onFailure, unless it is nil, is
// called during each request that has credentials which are not right, with its client as clientOf has it.
func newDigestAuth(login Login, now func() time.Time, onFailure func(client netip.Addr)) *digestAuth {
	return &digestAuth{
		user:      sha256.Sum256([]byte(login.User)),
		a1:        md5Hex(login.User, digestRealm, login.Password),
		nonces:    newNonces(now),
		onFailure: onFailure,
	}
}

// require lets only requests with the right credentials through. The others are answered 401 in the style of the
// path's face, with a challenge, and their bodies are not read.
func (d *digestAuth) require(faceOf func(*http.Request) face, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stale := false
		if values, ok := r.Header["Authorization"]; ok {
			switch c, ok := d.verify(r, values); {
			case !ok:
				if d.onFailure != nil {
					d.onFailure(clientOf(r))
				}
			case d.nonces.use(c.nonce, c.nc):
				next.ServeHTTP(w, r)
				return
			default:
				// The password was known, so the client may hear that only the nonce is at fault. It tries again by
				// itself, and just once, since the first use of a new nonce does not fail.
				stale = true
			}
		}
		d.challenge(w, stale)
		faceOf(r).writeStatus(w, http.StatusUnauthorized, "Unauthorized", "")
	})
}

// challenge sets the two headers of monerod's 401. Their name, order and spacing are monerod's too: there are clients,
// monero-ts for one, that take them apart by hand.
func (d *digestAuth) challenge(w http.ResponseWriter, stale bool) {
	staleness := "false"
	if stale {
		staleness = "true"
	}
	rest := `,realm="` + digestRealm + `",nonce="` + d.nonces.issue() + `",stale=` + staleness
	w.Header()["WWW-authenticate"] = []string{
		`Digest qop="auth",algorithm=MD5` + rest,
		`Digest qop="auth",algorithm=MD5-sess` + rest,
	}
}

// verify reports whether the values of the Authorization header show that their sender knows the login. It says nothing
// of the nonce.
func (d *digestAuth) verify(r *http.Request, values []string) (*credentials, bool) {
	if len(values) != 1 {
		return nil, false
	}
	c, ok := parseCredentials(values[0])
	if !ok || c.realm != digestRealm || !strings.EqualFold(c.qop, "auth") ||
		originForm(c.uri) != originForm(r.RequestURI) {
		return nil, false
	}
	a1 := d.a1
	switch {
	case strings.EqualFold(c.algorithm, "MD5"):
	case strings.EqualFold(c.algorithm, "MD5-sess"):
		// The RFC has the cnonce of the session's first request here; monerod and its clients have each request's own.
		a1 = md5Hex(a1, c.nonce, c.cnonce)
	default:
		return nil, false
	}
	// The response is computed from the login's own user, whoever the client says to be, so a wrong user and a wrong
	// password take the same way.
	user := sha256.Sum256([]byte(c.username))
	sameUser := subtle.ConstantTimeCompare(user[:], d.user[:])
	want := responseOf(c, r.Method, a1)
	sameResponse := subtle.ConstantTimeCompare([]byte(strings.ToLower(c.response)), []byte(want))
	return c, sameUser&sameResponse == 1
}

// responseOf computes what a client that knows a1 sends as its response.
func responseOf(c *credentials, method, a1 string) string {
	// MD5 because a1 has what is special about MD5-sess, which the package does not know.
	challenge := &digest.Challenge{Nonce: c.nonce, Algorithm: "MD5", QOP: []string{"auth"}}
	made, err := digest.Digest(challenge, digest.Options{
		Method: method, URI: c.uri, Count: int(c.nc), Cnonce: c.cnonce, A1: a1,
	})
	if err != nil {
		panic(err) // only for another algorithm or qop
	}
	return made.Response
}

// originForm is a request target without scheme and authority. monero-ts has its whole URL as the uri, and the
// authority in it is not what arrives here where a proxy is between.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}

// md5Hex is the hash of RFC 7616 over parts joined by colons.
func md5Hex(parts ...string) string {
	h := md5.New()
	_, _ = io.WriteString(h, strings.Join(parts, ":"))
	return hex.EncodeToString(h.Sum(nil))
}
