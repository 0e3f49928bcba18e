package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// askedSource notes when it is asked, for what.
type askedSource struct {
	mu    sync.Mutex
	began time.Time
	asked []string
	takes time.Duration
	err   error
}

func (s *askedSource) ask(ctx context.Context, q question, params json.RawMessage) ([]byte, error) {
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprint(time.Since(s.began), " ", map[question]string{getConnections: "connections ", apiConnections: "listeners "}[q], string(params)))
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	return []byte(`{}`), nil
}

func (s *askedSource) close() {}

// It is looked every interval, however long a look takes, at once when something else is wanted, and not while it is paused.
func TestLooker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{began: time.Now(), takes: 300 * time.Millisecond}
		o := lookOptions{interval: time.Second, filter: map[string][]string{"pid": {"7"}, "incoming": {"true"}}}
		l := newLooker(s, &o)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		var seen []bool
		done.Go(func() { l.run(ctx, func(s sight) { seen = append(seen, s.listeners) }) })
		time.Sleep(2500 * time.Millisecond)
		l.tell(true, false)
		time.Sleep(1600 * time.Millisecond)
		l.tell(false, true)
		time.Sleep(5 * time.Second)
		l.tell(false, false)
		time.Sleep(100 * time.Millisecond) // the end comes while it looks
		cancel()
		done.Wait()
		const connections, listeners = ` connections {"incoming":true,"pid":7,"extended":true}`, ` listeners {"pid":7,"extended":true}`
		want := []string{"1s" + connections, "2s" + connections, "2.5s" + listeners, "3.5s" + listeners, "9.1s" + connections}
		if diff := cmp.Diff(want, s.asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]bool{false, false, true, true}, seen); diff != "" {
			t.Errorf("seen listeners (-want +got):\n%s", diff)
		}
	})
}

// An error is seen as what was looked at is, and the next look comes all the same.
func TestLookerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		s := &askedSource{began: time.Now(), err: refused}
		l := newLooker(s, &lookOptions{interval: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		failed := 0
		done.Go(func() {
			l.run(ctx, func(s sight) {
				if errors.Is(s.err, refused) {
					failed++
				}
			})
		})
		time.Sleep(2500 * time.Millisecond)
		cancel()
		done.Wait()
		if failed != 2 {
			t.Errorf("%d errors, want 2", failed)
		}
	})
}
