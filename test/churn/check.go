//go:build linux

package churn

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// Kind is what is wrong with an answer.
type Kind string

// What can be wrong with what is said of an end that lived through the request.
const (
	Missing        Kind = "missing"         // it is not there
	Repeated       Kind = "repeated"        // it is there more than once, or its cookie or connection_id is
	OwnerUnknown   Kind = "owner unknown"   // it is said to have no owner
	WrongOwner     Kind = "wrong owner"     // it is said to be somebody else's
	WrongDirection Kind = "wrong direction" // incoming is wrong
	WrongState     Kind = "wrong state"     // it is in ESTABLISHED, and said not to be
	Renamed        Kind = "renamed"         // its connection_id is not that of an earlier answer
)

// What can be wrong with what is said of others.
const (
	Gone    Kind = "gone"    // an end that was closed before the request, or that there never was
	Unasked Kind = "unasked" // an end that the parameters leave out
	// These are of an end that came or went during the request.
	PassingRepeated  Kind = "repeated, in passing"
	PassingOwner     Kind = "wrong owner, in passing"
	PassingDirection Kind = "wrong direction, in passing"
)

// InPassing reports whether it speaks of a connection that was opened or closed
// during the request.
func (f Finding) InPassing() bool {
	return f.Kind == PassingRepeated || f.Kind == PassingOwner || f.Kind == PassingDirection
}

// Finding is something that is wrong with an answer.
type Finding struct {
	Kind    Kind
	Request int    // the number of the request, from 0
	Query   string // what was asked
	Text    string
}

func (f Finding) String() string {
	return fmt.Sprintf("request %d (%s): %s: %s", f.Request, f.Query, f.Kind, f.Text)
}

// record is what an answer has of one socket. What it does not say is zero.
type record struct {
	ends
	incoming *bool
	pid      int32
	name     string
	state    string
	id       string
	cookie   uint64
}

// answer is what came of a request.
type answer struct {
	*query
	number int
	// The request was sent after from, and the answer was whole before to.
	from, to instant
	records  []record
	// own are the two ends of the HTTP connection that it came by.
	own []*end
}

// checking is the check of one answer.
type checking struct {
	*answer
	truth    *truth
	byEnds   map[ends][]*record
	findings []Finding
	lived    int // how many ends the answer had to have
}

// check compares an answer with the truth, which has to know everything up to
// its end. lived is how many ends lived through the request. The error is about
// the truth.
func (t *truth) check(a *answer) (findings []Finding, lived int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.pair(); err != nil {
		return nil, 0, err
	}
	c := checking{answer: a, truth: t, byEnds: make(map[ends][]*record, len(a.records))}
	for i := range a.records {
		c.byEnds[a.records[i].ends] = append(c.byEnds[a.records[i].ends], &a.records[i])
	}
	c.names()
	if a.remoteOnly {
		c.count()
	} else {
		for e := range c.all() {
			c.end(e)
		}
		for i := range a.records {
			c.record(&a.records[i])
		}
	}
	t.forget(a.from)
	return c.findings, c.lived, nil
}

func (c *checking) find(k Kind, format string, args ...any) {
	c.findings = append(c.findings, Finding{k, c.number, c.query.name, fmt.Sprintf(format, args...)})
}

// all are the ends that the answer can be about.
func (c *checking) all() iter.Seq[*end] {
	return func(yield func(*end) bool) {
		for _, e := range c.truth.connections {
			if !yield(e) || !yield(e.peer) {
				return
			}
		}
		for _, e := range c.own {
			if !yield(e) {
				return
			}
		}
	}
}

// mustHave reports whether the answer has to have an end.
func (c *checking) mustHave(e *end) bool {
	lives := e.lives
	if c.established {
		lives = e.established
	}
	return lives(c.from, c.to) && c.selects(e)
}

// names looks for what names a socket and is there twice.
func (c *checking) names() {
	cookies, ids := make(map[uint64]ends), make(map[string]ends)
	for _, r := range c.answer.records {
		if other, there := cookies[r.cookie]; there && r.cookie != 0 {
			c.find(Repeated, "the cookie %d of %v is that of %v too", r.cookie, r.ends, other)
		}
		if other, there := ids[r.id]; there && r.id != "" {
			c.find(Repeated, "the connection_id %s of %v is that of %v too", r.id, r.ends, other)
		}
		cookies[r.cookie], ids[r.id] = r.ends, r.ends
	}
}

// end checks what the answer has of an end that it has to have.
func (c *checking) end(e *end) {
	if !c.mustHave(e) {
		return
	}
	c.lived++
	records := c.byEnds[e.ends]
	if len(records) == 0 {
		c.find(Missing, "%s", c.describe(e))
		return
	}
	said := list(records)
	if len(records) > 1 {
		c.find(Repeated, "%s: %s", c.describe(e), said)
	}
	r := records[0]
	if r.pid == 0 {
		c.find(OwnerUnknown, "%s: %s", c.describe(e), said)
	} else if r.pid != e.holder.pid || r.name != e.holder.name {
		c.find(WrongOwner, "%s: %s", c.describe(e), said)
	}
	if r.incoming != nil && *r.incoming == e.opener {
		c.find(WrongDirection, "%s: %s", c.describe(e), said)
	}
	if r.state != "" && r.state != "ESTABLISHED" && e.established(c.from, c.to) {
		c.find(WrongState, "%s: %s", c.describe(e), said)
	}
	if r.id != "" && e.id != "" && r.id != e.id {
		c.find(Renamed, "%s: %s, its connection_id was %s", c.describe(e), said, e.id)
	}
	if r.id != "" {
		e.id = r.id
	}
}

// record checks a record against all ends that it can be of.
func (c *checking) record(r *record) {
	lives, asked, held, directed := false, false, false, false
	can := 0
	for e := range c.named(r.ends) {
		if !e.mayLive(c.from, c.to) {
			continue
		}
		can++
		lives = lives || c.mustHave(e)
		asked = asked || c.selects(e)
		// A socket that its process has let go of has no owner.
		held = held || e.holder != nil && e.left > c.from && e.holder.pid == r.pid
		directed = directed || r.incoming == nil || *r.incoming != e.opener
	}
	switch {
	case can == 0:
		c.find(Gone, "%v: %s", r.ends, list([]*record{r}))
		return
	case lives:
		return // it has been looked at
	case !asked:
		c.find(Unasked, "%v: %s", r.ends, list([]*record{r}))
	}
	if same := c.byEnds[r.ends]; same[0] == r && len(same) > can {
		c.find(PassingRepeated, "%s: %s", c.describePassing(r), list(same))
	}
	if r.pid != 0 && !held {
		c.find(PassingOwner, "%s: %s", c.describePassing(r), list([]*record{r}))
	}
	if !directed {
		c.find(PassingDirection, "%s: %s", c.describePassing(r), list([]*record{r}))
	}
}

// named are the ends that have had these two ends.
func (c *checking) named(name ends) iter.Seq[*end] {
	return func(yield func(*end) bool) {
		for _, e := range c.truth.byEnds[name] {
			if !yield(e) {
				return
			}
		}
		for _, e := range c.own {
			if e.ends == name && !yield(e) {
				return
			}
		}
	}
}

// describe says what is known of an end that lived through the request.
func (c *checking) describe(e *end) string {
	who := "acceptor"
	if e.opener {
		who = "opener"
	}
	return fmt.Sprintf("%v, the %s's end, of %s (%d), in a request of %v, which%s",
		e.ends, who, e.holder.name, e.holder.pid, short(c.to.sub(c.from)), c.life(e))
}

// describePassing says what is known of the ends that a record can be of.
func (c *checking) describePassing(r *record) string {
	text := fmt.Sprintf("%v, in a request of %v", r.ends, short(c.to.sub(c.from)))
	for e := range c.named(r.ends) {
		if e.mayLive(c.from, c.to) {
			text += ", which" + c.life(e)
		}
	}
	return text
}

// life says when an end came about and went, from the request on.
func (c *checking) life(e *end) (text string) {
	for _, at := range []struct {
		what string
		when instant
	}{
		{"was begun", e.begun},
		{"was there", e.since},
		{"was half closed", e.shut},
		{"was closed", e.closing},
		{"was let go of", e.left},
		{"was half closed by the other end", e.peer.shut},
		{"was closed by the other end", e.peer.closing},
	} {
		if at.when != never {
			text += fmt.Sprintf(" %s at %v", at.what, short(at.when.sub(c.from)))
		}
	}
	if e.reset || e.peer.reset {
		text += " with a RST"
	}
	return text
}

// list says what records with the same ends say.
func list(records []*record) string {
	var b strings.Builder
	for i, r := range records {
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(r.state)
		if r.incoming != nil {
			fmt.Fprintf(&b, ", incoming %v", *r.incoming)
		}
		fmt.Fprintf(&b, ", process %d %s, cookie %d, connection_id %s", r.pid, r.name, r.cookie, r.id)
	}
	return b.String()
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
