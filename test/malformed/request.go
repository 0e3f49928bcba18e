package malformed

import (
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
)

// A Request is what a client sends on a connection of its own.
type Request struct {
	Kind  string // what is wrong with it, in a word or two
	Bytes []byte

	// Ends is whether the client says with the last byte that there are no more (by a FIN). Without it a server may wait for
	// more before it answers.
	Ends bool

	// Silent is whether a server may also end the connection without an answer.
	Silent bool
}

// kind makes requests of one kind.
type kind struct {
	name string
	make func(r *rand.Rand) Request
}

// Kinds returns the kinds of requests there are.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func kinds() []kind { return append(httpKinds(), jsonKinds()...) }

// Requests yields requests without end, of all kinds by turns. No two of them have the same bytes.
func Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		seed := maphash.MakeSeed()
		seen := make(map[uint64]bool)
		all := kinds()
		for {
			before := len(seen)
			for _, k := range all {
				request, ok := k.another(r, func(b []byte) bool {
					sum := maphash.Bytes(seed, b)
					was := seen[sum]
					seen[sum] = true
					return !was
				})
				if ok && !yield(request) {
					return
				}
			}
			if len(seen) == before {
				panic("malformed: there are no more requests") // each kind has more than anybody asks for
			}
		}
	}
}

// another makes a request that is new, unless there seem to be none left of this kind.
func (k kind) another(r *rand.Rand, isNew func([]byte) bool) (Request, bool) {
	const tries = 20
	for range tries {
		request := k.make(r)
		request.Kind = k.name
		if isNew(request.Bytes) {
			return request, true
		}
	}
	return Request{}, false
}

// pick returns one of some.
func pick[T any](r *rand.Rand, some ...T) T { return some[r.IntN(len(some))] }

// word returns 1 to most letters.
func word(r *rand.Rand, most int) string {
	b := make([]byte, 1+r.IntN(most))
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return string(b)
}

// noise returns n bytes of any value.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// path is one that a server of this project has.
func path(r *rand.Rand) string {
	return pick(r, "/json_rpc", "/", "/get_connections", "/api/connections", "/get_info", "/healthz", "/metrics")
}

// String is for messages.
func (r Request) String() string { return fmt.Sprintf("%s: %.300q", r.Kind, r.Bytes) }
