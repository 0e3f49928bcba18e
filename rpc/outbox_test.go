package rpc

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A maker of an answer of some parts, which others can wait for.
type maker struct {
	bounds *bounds
	parts  int

	wanted context.Context // done once others wait
	want   context.CancelFunc
	began  time.Time
	made   time.Duration // when the last part was made, since began; 0: it has not been
	failed bool
}

func newMaker(parts int) *maker {
	m := &maker{bounds: newBounds(func(Refusal) {}), parts: parts}
	m.wanted, m.want = context.WithCancel(context.Background())
	return m
}

func (m *maker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.began = time.Now()
	m.bounds.answer(restFace, w, r, func(w http.ResponseWriter) {
		reply := newReply(w, r, nil)
		if err := m.make(reply); err != nil {
			m.failed = true
			reply.abort()
		}
		reply.end(w, http.StatusOK)
	})
}

// make appends parts of which each has its number in every byte.
func (m *maker) make(reply *Reply) error {
	defer reply.cutOff(m.wanted)()
	defer func() { m.made = time.Since(m.began) }()
	for i := range m.parts {
		reply.Buf = append(reply.Buf, bytes.Repeat([]byte{byte(i)}, flushFrom)...)
		if err := reply.Flush(); err != nil {
			return err
		}
	}
	reply.Buf = append(reply.Buf, "end"...)
	return nil
}

// takeAll reads the answer, and checks it.
func (m *maker) takeAll(t *testing.T, c *peer) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != m.parts*flushFrom+3 || string(body[len(body)-3:]) != "end" {
		t.Errorf("%d bytes, error %v", len(body), err)
		return
	}
	for i := range m.parts {
		if got := body[i*flushFrom : (i+1)*flushFrom]; bytes.Count(got, []byte{byte(i)}) != flushFrom {
			t.Errorf("part %d is not as it was made", i)
		}
	}
}

// As long as nobody needs what it is made from, an answer is made as it is taken.
func TestAnAnswerIsMadeAsItIsTaken(t *testing.T) {
	m := newMaker(4)
	bubble(t, ConnectionLimits{}, m, func(p *pipes, _ *Connections) {
		c := p.dial("192.0.2.1:1")
		c.send(getRoot)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if m.made != 0 {
			t.Errorf("all parts were made after %v without a reader", m.made)
		}
		m.takeAll(t, c)
		if m.made != 5*time.Second || len(m.bounds.kept.taken) != 0 {
			t.Errorf("made after %v, %d parts are kept", m.made, len(m.bounds.kept.taken))
		}
	})
}

// When somebody does, the rest is made at once, and kept for the client.
func TestTheRestOfAnAnswerIsKept(t *testing.T) {
	for name, parts := range map[string]int{"one part": 1, "some": 8, "as many as may be": maxKept} {
		t.Run(name, func(t *testing.T) {
			m := newMaker(parts)
			bubble(t, ConnectionLimits{}, m, func(p *pipes, _ *Connections) {
				c := p.dial("192.0.2.1:1")
				c.send(getRoot)
				time.Sleep(time.Second)
				m.want()
				synctest.Wait()
				if m.made != time.Second || len(m.bounds.kept.taken) != parts {
					t.Errorf("made after %v, %d parts are kept; want 1s, %d", m.made, len(m.bounds.kept.taken), parts)
				}
				time.Sleep(5 * time.Second)
				m.takeAll(t, c)
				synctest.Wait()
				if len(m.bounds.kept.taken) != 0 {
					t.Errorf("%d parts are kept of what was taken", len(m.bounds.kept.taken))
				}
			})
		})
	}
}

// Where no more can be kept the client has two seconds.
func TestAnAnswerThatCannotBeKept(t *testing.T) {
	for _, test := range []struct {
		name  string
		reads time.Duration // when the client does, after the others wait
		ended bool          // by then
	}{{"in time", evictAfter - 1, false}, {"too late", evictAfter + time.Second, true}} {
		t.Run(test.name, func(t *testing.T) {
			m := newMaker(maxKept + 2)
			bubble(t, ConnectionLimits{}, m, func(p *pipes, _ *Connections) {
				c := p.dial("192.0.2.1:1")
				c.send(getRoot)
				time.Sleep(time.Second)
				m.want()
				time.Sleep(test.reads)
				synctest.Wait()
				if !test.ended {
					m.takeAll(t, c)
					return
				}
				if !m.failed || m.made != time.Second+evictAfter || c.isOpen() || len(m.bounds.kept.taken) != 0 || len(m.bounds.answering.taken) != 0 {
					t.Errorf("failed %t after %v, open %t, %d parts kept", m.failed, m.made, c.isOpen(), len(m.bounds.kept.taken))
				}
			})
		})
	}
}

// That time is for all that is left of the answer, however little at a time the client takes.
func TestAnAnswerThatIsTakenSlowly(t *testing.T) {
	m := newMaker(maxKept + 10)
	bubble(t, ConnectionLimits{}, m, func(p *pipes, _ *Connections) {
		c := p.dial("192.0.2.1:1")
		c.send(getRoot)
		time.Sleep(time.Second)
		m.want()
		for range 4 {
			time.Sleep(evictAfter - 100*time.Millisecond)
			_, _ = io.CopyN(io.Discard, c, 2*flushFrom) // it fails once the connection has ended
		}
		synctest.Wait()
		if !m.failed || m.made != time.Second+evictAfter || c.isOpen() || len(m.bounds.kept.taken) != 0 {
			t.Errorf("failed %t after %v, open %t, %d parts kept", m.failed, m.made, c.isOpen(), len(m.bounds.kept.taken))
		}
	})
}

// In a batch that time is for what is made from one snapshot: with the next nobody may wait.
func TestAnAnswerFromTwoSnapshots(t *testing.T) {
	m := newMaker(maxKept + 2)
	m.bounds = newBounds(func(Refusal) {})
	wanted, want := context.WithCancel(t.Context())
	want()
	bubble(t, ConnectionLimits{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.bounds.answer(restFace, w, r, func(w http.ResponseWriter) {
			reply := newReply(w, r, nil)
			stop := reply.cutOff(wanted)
			reply.Buf = append(reply.Buf, make([]byte, flushFrom)...)
			if err := reply.Flush(); err != nil {
				t.Error(err)
			}
			stop()
			if err := m.make(reply); err != nil {
				t.Error(err)
			}
			reply.end(w, http.StatusOK)
		})
	}), func(p *pipes, _ *Connections) {
		c := p.dial("192.0.2.1:1")
		c.send(getRoot)
		time.Sleep(evictSteady + time.Second)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); n != int64(m.parts+1)*flushFrom+3 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// Over HTTP/2, and by a unix socket, what was written tells how steadily a client reads.
func TestReadsSteadilyByWhatWasSent(t *testing.T) {
	for _, test := range []struct {
		elapsed      time.Duration
		before, sent int
		want         bool
	}{
		{evictAfter, 100, 100 + 3*steadyRead, true},
		{evictAfter, 100, 100 + steadyRead, false},
		{evictSteady, 0, 100 * steadyRead, false},
	} {
		o := &outbox{
			request: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), sent: test.sent,
			pressed: time.Now().Add(-test.elapsed), before: progress{sent: test.before},
		}
		if got := o.readsSteadily(); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

// The parts that are kept for the slowest client make room for those of another.
func TestKeptPartsMakeRoom(t *testing.T) {
	first := newMaker(maxKept)
	second := newMaker(2)
	second.bounds = first.bounds
	bubble(t, ConnectionLimits{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/second" {
			second.ServeHTTP(w, r)
		} else {
			first.ServeHTTP(w, r)
		}
	}), func(p *pipes, _ *Connections) {
		one, two := p.dial("192.0.2.1:1"), p.dial("192.0.2.2:1")
		one.send(getRoot)
		first.want()
		synctest.Wait()
		two.send("GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n")
		second.want()
		time.Sleep(slowReader)
		synctest.Wait()
		if one.isOpen() || second.made == 0 {
			t.Errorf("the slowest is open: %t; the other was made after %v", one.isOpen(), second.made)
		}
		second.takeAll(t, two)
	})
}

// A handler that leaves while something is sent waits for that, so that nothing is written behind its back.
func TestAHandlerThatPanicsWhileItSends(t *testing.T) {
	b := newBounds(func(Refusal) {})
	bubble(t, ConnectionLimits{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.answer(restFace, w, r, func(w http.ResponseWriter) {
			box := w.(*outbox)
			wanted := make(chan struct{})
			close(wanted)
			box.madeFrom(wanted)
			reply := newReply(w, r, make([]byte, flushFrom))
			if err := reply.Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		})
	}), func(p *pipes, _ *Connections) {
		c := p.dial("192.0.2.1:1")
		c.send(getRoot)
		if c.isOpen() || len(b.answering.taken) != 0 || len(b.kept.taken) != 0 {
			t.Errorf("open %t, %d places", c.isOpen(), len(b.answering.taken)+len(b.kept.taken))
		}
	})
}
