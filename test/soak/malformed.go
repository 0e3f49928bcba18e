//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/connectionsd/connectionsd/test/malformed"
	"github.com/connectionsd/connectionsd/test/measuring"
)

// malformedWithin is how long the answer to a malformed request may take.
const malformedWithin = 100 * time.Millisecond

// verdicts are what came of the malformed requests.
type verdicts struct {
	answers tally // by status
	wrong   []string
	slow    []string
	took    []time.Duration
}

// tryMalformed sends what no server can understand.
func tryMalformed(ctx context.Context, o options) (_ *section, err error) {
	d, err := serve(ctx, o.daemon, "--rate-limit", "0") // a 429 would say nothing of the request
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	const clients = 2
	requests := make(chan malformed.Request)
	v := &verdicts{answers: make(tally)}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for request := range requests {
				ctx, cancel := context.WithTimeout(ctx, 4*time.Second) // less than the daemon's own deadlines
				a, err := malformed.Send(ctx, d.address.String(), request)
				cancel()
				if err == nil {
					err = a.Check(request)
				}
				mu.Lock()
				v.add(request, a, err)
				mu.Unlock()
			}
		})
	}
	sent := 0
	for request := range malformed.Requests() {
		if sent == o.malformed || ctx.Err() != nil {
			break
		}
		requests <- request
		sent++
	}
	close(requests)
	group.Wait()
	return v.section(o), ctx.Err()
}

// add adds the answer to a request.
func (v *verdicts) add(request malformed.Request, a malformed.Answer, err error) {
	v.took = append(v.took, a.Took)
	switch {
	case err != nil:
		v.wrong = append(v.wrong, fmt.Sprintf("%.150s: %v", request, err))
	case a.Status == 0:
		v.answers["end of the connection"]++
	case a.Status == 200:
		v.answers["error of JSON-RPC"]++
	default:
		v.answers[fmt.Sprint(a.Status)]++
	}
	if a.Took > malformedWithin {
		v.slow = append(v.slow, fmt.Sprintf("%s: %.150s", milliseconds(a.Took), request))
	}
}

func (v *verdicts) section(o options) *section {
	found := &section{figures: []figure{
		told("malformed requests", "%d of %d kinds", len(v.took), len(malformed.Kinds())),
		told("answers", "%v", v.answers),
		wants("wrong answers (5xx, 200, none)", fmt.Sprint(len(v.wrong)), "none", len(v.wrong) == 0),
		o.timed("slower than 100 ms", fmt.Sprint(len(v.slow)), "none", len(v.slow) == 0),
		told("time", "p50 %s, p99 %s, max %s", milliseconds(measuring.Percentile(v.took, 50)), milliseconds(measuring.Percentile(v.took, 99)), milliseconds(measuring.Percentile(v.took, 100))),
	}}
	const most = 10
	examples := &measuring.Table{Title: "malformed: what was wrong, or slow", Header: []string{"which"}}
	for _, text := range append(v.wrong[:min(most, len(v.wrong))], v.slow[:min(most, len(v.slow))]...) {
		examples.Rows = append(examples.Rows, []string{text})
	}
	if examples.Rows != nil {
		found.tables = append(found.tables, examples)
	}
	return found
}
