package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// nonceLife is how long after its issue a nonce can be used. It bounds for how long a request that was recorded but
	// never arrived can be sent in its client's stead. A new nonce costs the client one more round trip, so one that
	// looks every minute, as a dashboard does, should get several looks out of each.
	nonceLife = 5 * time.Minute

	// maxNonces is how many used nonces are remembered, about 1 MB. Only requests with the right password get a nonce
	// remembered. A client that takes a new one for each request, as monero-ts does, needs thousands in a nonceLife.
	maxNonces = 4096
)

// nonces issues nonces and sees to it that each is used only with counts it was not used with before.
//
// A nonce holds its time of issue and is signed, so that an issued one needs no memory until it is used. One that was
// used is remembered until it is evicted as the one that was not used for the longest time; from then on no nonce as
// old as it, or older, is taken for new.
type nonces struct {
	key   [sha256.Size]byte
	start time.Time // times of issue are counted from here, by a clock that is not set back
	now   func() time.Time

	mu        sync.Mutex
	used      *simplelru.LRU[nonceID, *countWindow]
	forgotten time.Duration // latest time of issue among the evicted
}

// nonceID is the part of a nonce that is signed: when it was issued, and 8 random bytes, since two can be at once.
type nonceID [16]byte

func (id *nonceID) issued() time.Duration { return time.Duration(binary.BigEndian.Uint64(id[:8])) }

const (
	nonceTag  = 16                        // bytes of the signature
	nonceSize = len(nonceID{}) + nonceTag // bytes of a nonce
)

func newNonces(now func() time.Time) *nonces {
	n := &nonces{start: now(), now: now, forgotten: -1}
	_, _ = rand.Read(n.key[:]) // it returns no error, it crashes
	used, err := simplelru.NewLRU(maxNonces, func(id nonceID, _ *countWindow) {
		n.forgotten = max(n.forgotten, id.issued())
	})
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	n.used = used
	return n
}

// issue returns a nonce that nobody was given before.
func (n *nonces) issue() string {
	var id nonceID
	binary.BigEndian.PutUint64(id[:8], uint64(n.now().Sub(n.start)))
	_, _ = rand.Read(id[8:])
	return base64.StdEncoding.EncodeToString(append(id[:], n.sign(&id)...))
}

func (n *nonces) sign(id *nonceID) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(id[:])
	return mac.Sum(nil)[:nonceTag]
}

// use reports whether nonce is good for a request that its client counts as the nc-th, and spends that count. The
// client must be known to have the password: what is spent is remembered.
func (n *nonces) use(nonce string, nc uint32) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(nonce)
	if err != nil || len(raw) != nonceSize {
		return false
	}
	id := nonceID(raw)
	if !hmac.Equal(raw[len(id):], n.sign(&id)) {
		return false
	}
	if age := n.now().Sub(n.start) - id.issued(); age < 0 || age > nonceLife {
		return false
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	counts, ok := n.used.Get(id)
	if !ok {
		if id.issued() <= n.forgotten {
			return false
		}
		counts = new(countWindow)
		n.used.Add(id, counts)
	}
	return counts.spend(nc)
}

// countSpan is how far behind the highest count of its nonce one may arrive. Clients that send requests in parallel
// number them before they know which arrives first.
const countSpan = 256

// countWindow is which counts of a nonce are spent: none above highest, all below the span, and in the span those that
// have their bit (that of the count modulo the span).
type countWindow struct {
	highest uint32
	spent   [countSpan / 64]uint64
}

// spend marks nc as spent and reports whether it was not.
func (w *countWindow) spend(nc uint32) bool {
	if nc > w.highest {
		for i := range min(nc-w.highest, countSpan) {
			word, bit := w.at(nc - i)
			*word &^= bit
		}
		w.highest = nc
	} else if w.highest-nc >= countSpan {
		return false
	}
	word, bit := w.at(nc)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

func (w *countWindow) at(nc uint32) (word *uint64, bit uint64) {
	i := nc % countSpan
	return &w.spent[i/64], 1 << (i % 64)
}
