package rpc

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/rs/zerolog"
)

// A Refusal says why a client was not let in.
type Refusal string

const (
	RefusedToken  Refusal = "token"  // no access token, or a wrong one: 404
	RefusedLogin  Refusal = "login"  // wrong credentials; having none at first is a part of the handshake: 401
	RefusedHost   Refusal = "host"   // a Host header that is not the daemon's: 403
	RefusedOrigin Refusal = "origin" // a page of another origin posts: 403

	RefusedRate        Refusal = "rate"        // past the rate limit: 429
	RefusedConnections Refusal = "connections" // more connections than a client may have: 429
	RefusedBusy        Refusal = "busy"        // more requests at once than can be answered: 503
)

// Refusals returns all there are.
func Refusals() []Refusal {
	return []Refusal{RefusedToken, RefusedLogin, RefusedHost, RefusedOrigin, RefusedRate, RefusedConnections, RefusedBusy}
}

// How many clients the log of guesses remembers, and how often it speaks of each.
const (
	maxGuessers   = 1024
	guessInterval = time.Minute
)

// guessLog logs that a client guesses at secrets: one event for each client and minute, with how often it has guessed
// since the one before. It forgets the client first that guessed last the longest time ago.
type guessLog struct {
	log zerolog.Logger
	now func() time.Time

	mu      sync.Mutex
	clients *simplelru.LRU[netip.Addr, *guesses]
}

// guesses are what has not been logged of one client.
type guesses struct {
	logged         time.Time
	tokens, logins int
}

func newGuessLog(log zerolog.Logger, now func() time.Time) *guessLog {
	clients, err := simplelru.NewLRU[netip.Addr, *guesses](maxGuessers, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &guessLog{log: log, now: now, clients: clients}
}

// note counts one guess of client.
func (l *guessLog) note(client netip.Addr, reason Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.clients.Get(client)
	if !ok {
		g = new(guesses)
		l.clients.Add(client, g)
	}
	if reason == RefusedToken {
		g.tokens++
	} else {
		g.logins++
	}
	now := l.now()
	if now.Sub(g.logged) < guessInterval {
		return
	}
	l.log.Warn().Str("client", clientName(client)).Int("wrong_tokens", g.tokens).Int("failed_logins", g.logins).
		Msg("access refused")
	*g = guesses{logged: now}
}

// clientName is what the log calls a client of clientOf.
func clientName(client netip.Addr) string {
	switch {
	case !client.IsValid():
		return "without an address"
	case client.IsLoopback() && client.Is4():
		return "127.0.0.0/8"
	case client.Is6():
		return netip.PrefixFrom(client, 64).String()
	}
	return client.String()
}
