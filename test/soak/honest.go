//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// How the answers are counted that say that the daemon has too much to do.
const (
	isBusy  = "status 503"
	isRated = "status 429"
)

// honest is a client that behaves: it asks, reads, and asks again after a pause.
type honest struct {
	from  netip.Addr
	to    netip.AddrPort
	kept  bool // on one connection; else on a new one each time, which counts too
	pause time.Duration
}

// experience is how a client was treated.
type experience struct {
	took   []time.Duration
	wrong  tally // what was no 200
	opened int   // connections
	all    []asking
}

// asking is one request.
type asking struct {
	asked, took time.Duration // the one from the beginning on
	right       bool          // it was answered with 200
}

func (e *experience) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s of %d", milliseconds(measuring.Percentile(e.took, 50)), milliseconds(measuring.Percentile(e.took, 99)), milliseconds(measuring.Percentile(e.took, 100)), len(e.took))
}

func (e *experience) p99() time.Duration { return measuring.Percentile(e.took, 99) }

// ask asks for some time. Whatever goes wrong is in the experience.
func (h honest) ask(ctx context.Context, lasting time.Duration) *experience {
	e := &experience{wrong: make(tally)}
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for start := time.Now(); time.Since(start) < lasting && ctx.Err() == nil; {
		began := time.Now()
		var a answer
		var err error
		if c == nil {
			e.opened++
			if c, err = dial(ctx, h.from, h.to); err != nil {
				err = fmt.Errorf("connect: %w", err)
			}
		}
		if err == nil {
			a, err = c.ask(getConnections, false)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return e
		case err != nil:
			e.wrong[shortened(err)]++
		case a.status != http.StatusOK:
			e.wrong[fmt.Sprint("status ", a.status)]++
		default:
			e.took = append(e.took, time.Since(began))
		}
		e.all = append(e.all, asking{began.Sub(start), time.Since(began), err == nil && a.status == http.StatusOK})
		if c != nil && (err != nil || a.last || !h.kept) {
			c.close()
			c = nil
		}
		_ = sleep(ctx, h.pause)
	}
	return e
}

// shortened is the text of an error without the addresses in it, so that like ones can be counted together.
func shortened(err error) string {
	text := err.Error()
	what, _, _ := strings.Cut(text, ": ")
	for _, why := range []string{"connection refused", "connection reset by peer", "i/o timeout", "broken pipe", "EOF"} {
		if strings.Contains(text, why) {
			return what + ": " + why
		}
	}
	return what
}
