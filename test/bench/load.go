//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// load is how a server did that was asked by some clients.
type load struct {
	answers   int
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server, for each answer
}

// ask has clients, each with a connection that stays, ask a server one request
// after the other for some time. looked, unless it is nil, is given each answer.
func ask(ctx context.Context, address string, clients int, lasting time.Duration, request []byte, looked func(c *client, answer []byte) error) (*load, error) {
	all := make([]*client, clients)
	for i := range all {
		c, err := dial(ctx, address)
		if err != nil {
			return nil, err
		}
		defer c.close()
		all[i] = c
		// The first answer is not counted.
		if err := c.skip(request); err != nil {
			return nil, err
		}
	}
	if looked == nil {
		looked = func(*client, []byte) error { return nil }
	}
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var asking sync.WaitGroup
	began := time.Now()
	until := began.Add(lasting)
	for i, c := range all {
		asking.Go(func() {
			for now := began; now.Before(until) && errs[i] == nil && ctx.Err() == nil; {
				answer, err := c.read(request)
				if err == nil {
					err = looked(c, answer)
				}
				then := time.Now()
				took[i], errs[i] = append(took[i], then.Sub(now)), err
				now = then
			}
		})
	}
	asking.Wait()
	over := time.Since(began)
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return nil, err
	}
	each := slices.Concat(took...)
	return &load{
		answers:   len(each),
		perSecond: float64(len(each)) / over.Seconds(),
		p50:       percentile(each, 50),
		p99:       percentile(each, 99),
	}, nil
}
