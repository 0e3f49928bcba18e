package rpc

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxClients is how many clients the rate limit remembers. Nothing may grow with what a client sends, and an address
// costs a client nothing. The client that was silent longest is forgotten first; it comes back with a full bucket, so
// evading the limit that way takes more addresses than this.
const maxClients = 8192

// maxWait is the longest wait a client is told, however slowly its bucket fills.
const maxWait = 24 * time.Hour

// rateLimit gives every client a bucket of tokens that fills at a steady rate. A request takes one token on arrival, and
// a batch of n calls n-1 more once it is read and before any of it is executed. What was taken is not given back.
//
// A batch of more calls than the bucket holds is refused however long its client waits; the wait it is told is the time
// in which the same calls could be made one by one.
//
// A nil *rateLimit admits everything.
type rateLimit struct {
	perSecond rate.Limit
	burst     int
	now       func() time.Time
	refused   func(Refusal)

	mu      sync.Mutex
	clients *simplelru.LRU[netip.Addr, *rate.Limiter]
}

// newRateLimit returns a limit of perSecond tokens a second and buckets of burst tokens, at least one. Without a
// positive perSecond there is no limit. refused is told of those who are past theirs.
func newRateLimit(perSecond float64, burst int, now func() time.Time, refused func(Refusal)) *rateLimit {
	if !(perSecond > 0) {
		return nil
	}
	clients, err := simplelru.NewLRU[netip.Addr, *rate.Limiter](maxClients, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &rateLimit{perSecond: rate.Limit(perSecond), burst: max(burst, 1), now: now, refused: refused, clients: clients}
}

// admit refuses the requests of clients whose bucket is empty, in the style of the path's face.
func (l *rateLimit) admit(faceOf func(*http.Request) face, next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait, ok := l.take(clientOf(r), 1, 1); !ok {
			l.refuse(faceOf(r), w, wait)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a client that should come back after some time.
func (l *rateLimit) refuse(f face, w http.ResponseWriter, wait time.Duration) {
	l.refused(RefusedRate)
	f.writeTooMany(w, wait)
}

// charge takes n more tokens for a request that was admitted. If the bucket does not hold them it takes none and returns
// how long the client should wait before it sends the same request again, which will cost n+1.
func (l *rateLimit) charge(r *http.Request, n int) (wait time.Duration, ok bool) {
	if l == nil || n <= 0 {
		return 0, true
	}
	return l.take(clientOf(r), n, n+1)
}

// take takes n tokens from the bucket of client, or tells how long it takes to hold again tokens.
func (l *rateLimit) take(client netip.Addr, n, again int) (wait time.Duration, ok bool) {
	bucket, now := l.bucket(client), l.now()
	if bucket.AllowN(now, n) {
		return 0, true
	}
	seconds := (float64(again) - bucket.TokensAt(now)) / float64(l.perSecond)
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second)), false
}

func (l *rateLimit) bucket(client netip.Addr) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.clients.Get(client)
	if !ok {
		bucket = rate.NewLimiter(l.perSecond, l.burst)
		l.clients.Add(client, bucket)
	}
	return bucket
}

// clientOf is whose bucket a request is paid from: an IPv4 address, 127.0.0.0/8, or an IPv6 /64, which is what one customer gets
// and can choose addresses from at will. Clients without an address, those of a unix socket, share one bucket.
func clientOf(r *http.Request) netip.Addr { return clientAt(addressOf(r)) }

// addressOf is the address that a request comes from: the one that clientIP has found, or else the peer's. It is the zero
// Addr over a unix socket, whose clients have none: the name that one may have bound can be that of any address.
func addressOf(r *http.Request) netip.Addr {
	if comesByUnixSocket(r) {
		return netip.Addr{}
	}
	if address := middleware.GetClientIPAddr(r.Context()); address.IsValid() {
		return address
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap()
}

// clientAt is the client that has an address, named by the first of its addresses. Who is on this host has all of
// 127.0.0.0/8.
func clientAt(addr netip.Addr) netip.Addr {
	switch {
	case addr.Is4() && addr.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case !addr.Is6():
		return addr
	}
	prefix, _ := addr.Prefix(64) // an IPv6 address has one
	return prefix.Addr()
}

// clientIP finds out for addressOf who the client is where the peer is a trusted proxy: the last address in X-Forwarded-For
// that is not one. A trusted proxy that names no client is the client itself. Without trusted proxies it costs nothing; else
// a copy of the request.
func clientIP(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	cidrs := make([]string, len(trusted))
	for i, prefix := range trusted {
		cidrs[i] = prefix.String()
	}
	behind := middleware.ClientIPFromXFF(cidrs...)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if comesByUnixSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		behind.ServeHTTP(w, r)
	})
}

// writeTooMany answers 429. Retry-After has whole seconds, rounded up.
func (f face) writeTooMany(w http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int64(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	f.writeStatus(w, http.StatusTooManyRequests, "Too Many Requests", "")
}
