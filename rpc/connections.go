package rpc

import (
	"math"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ConnectionLimits bound the open connections. The flags that set them are monerod's.
type ConnectionLimits struct {
	// All is how many there may be in all; 0: any number. One of HTTP/2 counts as many times as it has requests.
	All int

	// PerPublicIP and PerPrivateIP are how many of them one client may have; 0: any number. A client is an IPv4 address,
	// all of 127.0.0.0/8, or an IPv6 /64. Private are those that reach no further than this host or its site: loopback, link-local, 10/8, 172.16/12,
	// 192.168/16 and fc00::/7.
	PerPublicIP, PerPrivateIP int

	// Exempt are the addresses that may have any number of them, within All: those of proxies, whose clients share one. So
	// may the clients of unix sockets, which have no address.
	Exempt []netip.Prefix
}

// How long a connection waits for its client before it can be closed for another: many times what a client that is there needs
// for its next request, which must not cross with the end of the connection. For another one of the same client that is
// longer if a request has come on it, since that client can be told to come again, and open no more than it may.
const (
	patience      = 250 * time.Millisecond
	patienceOfOwn = time.Second
)

// Connections are the open connections of one or more [Server], within limits.
//
// Where there are as many as there may be, the one that has waited longest for its client is closed for each new one: for a
// request, or the rest of one, or for the client to take an answer. So however many clients are slow or idle, one that is
// not gets in. If none waits, all are being answered, and the new one waits for the first that is. A client that has as
// many as it may gives up its own, and if none of them waits, the new one is told 429.
type Connections struct {
	mu      sync.Mutex
	limits  ConnectionLimits
	open    int
	load    int // open, and the requests that HTTP/2 has beyond one for each connection
	clients map[netip.Addr]*client
	waiting queue // those that wait for their clients, the longest first
	evicted uint64
	waiters int           // how many new ones wait for room
	changed chan struct{} // closed when there may be room, and then replaced
}

// client is one that has a limit.
type client struct {
	address     netip.Addr
	limit       int
	connections map[*connection]struct{}
}

// NewConnections returns the table of the connections to come.
func NewConnections(limits ConnectionLimits) *Connections {
	return &Connections{limits: limits, clients: make(map[netip.Addr]*client), changed: make(chan struct{})}
}

// SetLimits lets limits hold from now on. Of the connections that are open none is closed for it: where there are more than
// there may be now, those to come make room for themselves, as ever.
func (t *Connections) SetLimits(limits ConnectionLimits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = limits
	for _, of := range t.clients {
		of.limit = math.MaxInt
		for c := range of.connections {
			// All of them are of one kind of address, of which some may be exempt.
			if _, limit := t.limitOf(c.RemoteAddr()); limit != 0 {
				of.limit = limit
				break
			}
		}
	}
	t.notify()
}

// Open returns how many connections are open.
func (t *Connections) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}

// Evicted returns how many connections have been closed because another needed the room.
func (t *Connections) Evicted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}

// admit takes in a connection of a, and waits for room if it has to, until a is to stop.
func (t *Connections) admit(conn net.Conn, a *acceptor) *connection {
	c := &connection{Conn: conn, table: t, acceptor: a}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countForClient(c)
	t.open++
	t.load++
	for t.isFull() {
		victim, wait := t.victim()
		switch {
		case victim != nil:
			t.evict(victim)
		case !t.waitForRoom(wait, a.stopping):
			t.settle(c)
			return c
		}
	}
	t.settle(c)
	return c
}

func (t *Connections) isFull() bool { return t.limits.All > 0 && t.load > t.limits.All }

// countForClient counts a new connection for its client. If that has as many as it may, it loses the one that has waited
// longest.
func (t *Connections) countForClient(c *connection) {
	address, limit := t.limitOf(c.RemoteAddr())
	if limit == 0 {
		return
	}
	of := t.clients[address]
	if of != nil && len(of.connections) >= limit {
		if victim := of.victim(); victim != nil {
			t.evict(victim)
			of = t.clients[address] // it may have been the last one
		} else {
			c.surplus = true
		}
	}
	if of == nil {
		of = &client{address: address, limit: limit, connections: make(map[*connection]struct{})}
		t.clients[address] = of
	}
	of.connections[c] = struct{}{}
	c.client = of
}

// limitOf returns who the client at an address is, and how many connections it may have: 0 for any number.
func (t *Connections) limitOf(remote net.Addr) (netip.Addr, int) {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, 0
	}
	address := tcp.AddrPort().Addr().Unmap()
	for _, prefix := range t.limits.Exempt {
		if prefix.Contains(address.WithZone("")) {
			return netip.Addr{}, 0
		}
	}
	if address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() {
		return clientAt(address), t.limits.PerPrivateIP
	}
	return clientAt(address), t.limits.PerPublicIP
}

// victim returns the connection that is to make room, or else for how long there will be none if nothing changes: 0 is for
// ever.
func (t *Connections) victim() (*connection, time.Duration) {
	for {
		longest := t.waiting.first
		if longest == nil {
			return nil, 0
		}
		if wait := patience - time.Since(longest.since); wait > 0 {
			return nil, wait
		}
		if !longest.hasMore() {
			return longest, 0
		}
		t.settle(longest)
	}
}

// victim returns the connection of c that is to make room, nil if there is none.
func (c *client) victim() *connection {
	var victim *connection
	for candidate := range c.connections {
		if candidate.hasWaitedForOwn() && (victim == nil || candidate.since.Before(victim.since)) && !candidate.hasMore() {
			victim = candidate
		}
	}
	return victim
}

// evict closes a connection. It gives up the lock meanwhile: to close a socket waits for those who use it.
func (t *Connections) evict(c *connection) {
	t.remove(c)
	t.evicted++
	t.mu.Unlock()
	defer t.mu.Lock()
	_ = c.Conn.Close() // whether the client sees it does not matter
}

// remove forgets a connection, once.
func (t *Connections) remove(c *connection) {
	if c.removed {
		return
	}
	c.removed = true
	t.waiting.remove(c)
	t.open--
	t.load -= max(1, c.requests)
	if of := c.client; of != nil {
		delete(of.connections, c)
		if len(of.connections) == 0 {
			delete(t.clients, of.address)
		}
	}
	t.notify()
}

// settle puts a connection where it belongs once it is known what it waits for.
func (t *Connections) settle(c *connection) {
	if c.removed {
		return
	}
	t.waiting.remove(c)
	if c.requests > c.reading+c.writing {
		return // something is done for its client
	}
	c.since = time.Now()
	t.waiting.add(c)
	t.notify()
}

// waitForRoom waits until there may be room, for at most the given time unless it is 0. It returns false once stop is
// closed.
func (t *Connections) waitForRoom(atMost time.Duration, stop <-chan struct{}) bool {
	var timeout <-chan time.Time
	if atMost > 0 {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		timeout = timer.C
	}
	changed := t.changed
	t.waiters++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.waiters--
	}()
	select {
	case <-changed:
	case <-timeout:
	case <-stop:
		return false
	}
	return true
}

func (t *Connections) notify() {
	if t.waiters > 0 {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// makeRoom closes a connection, if there is one that waits.
func (t *Connections) makeRoom() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	victim, _ := t.victim()
	if victim != nil {
		t.evict(victim)
	}
	return victim != nil
}

// endIdle closes the connections of a that have been between two requests for some time, and returns how many there are
// that have not been for as long. It leaves those of HTTP/2 alone, whose clients net/http tells that they end.
func (t *Connections) endIdle(a *acceptor, atLeast time.Duration) (left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var idle []*connection
	for c := t.waiting.first; c != nil; c = c.next {
		switch {
		case c.acceptor != a || c.requests > 0 || c.asked && c.multiplexed:
		case time.Since(c.since) < atLeast || c.hasMore():
			left++
		default:
			idle = append(idle, c)
		}
	}
	for _, c := range idle {
		if c.queued && c.requests == 0 { // still: evict lets others in
			t.evict(c)
		}
	}
	return left
}

// queue is a list of connections. It is linked by the connections themselves, since they come and go several times for each
// request.
type queue struct{ first, last *connection }

// add adds a connection that is not in it at the end.
func (q *queue) add(c *connection) {
	c.queued, c.previous, c.next = true, q.last, nil
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
}

// remove removes a connection, if it is in it.
func (q *queue) remove(c *connection) {
	if !c.queued {
		return
	}
	if c.previous == nil {
		q.first = c.next
	} else {
		c.previous.next = c.next
	}
	if c.next == nil {
		q.last = c.previous
	} else {
		c.next.previous = c.previous
	}
	c.queued, c.previous, c.next = false, nil, nil
}
