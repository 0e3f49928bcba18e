package main

import (
	"slices"
	"time"
)

// How many rates are kept: of each connection, and of all together.
const (
	trendLength = 8
	totalLength = 40
)

// rates are how fast connections move payload, by their counters in one look and the next.
type rates struct {
	at         time.Time // of the latest look
	of         map[string]*counters
	recv, sent []uint64 // of all together, bytes/s, the latest last
}

// counters are what is kept of a connection.
type counters struct {
	recv, sent               uint64
	recvHistory, sentHistory []uint64
}

// take fills in the rates of entries, which were seen at a time, and forgets the connections that are no more. A connection
// that is seen for the first time has none.
func (r *rates) take(entries []entry, at time.Time) {
	elapsed := at.Sub(r.at)
	known := !r.at.IsZero() && elapsed > 0
	kept := make(map[string]*counters, len(entries))
	var recv, sent uint64
	for i := range entries {
		e := &entries[i]
		before := r.of[e.id]
		e.rates = known && before != nil
		if before == nil {
			before = new(counters)
		}
		if e.rates {
			e.recvRate, e.sentRate = perSecond(before.recv, e.recv, elapsed), perSecond(before.sent, e.sent, elapsed)
			before.recvHistory = appendRecent(before.recvHistory, e.recvRate, trendLength)
			before.sentHistory = appendRecent(before.sentHistory, e.sentRate, trendLength)
			recv, sent = recv+e.recvRate, sent+e.sentRate
		}
		before.recv, before.sent = e.recv, e.sent
		// Copies: what is on the screen while it is paused does not change.
		e.recvHistory, e.sentHistory = slices.Clone(before.recvHistory), slices.Clone(before.sentHistory)
		kept[e.id] = before
	}
	if known {
		r.recv, r.sent = appendRecent(r.recv, recv, totalLength), appendRecent(r.sent, sent, totalLength)
	}
	r.at, r.of = at, kept
}

// perSecond is the rate of a counter. One that has gone back is of another connection.
func perSecond(before, now uint64, elapsed time.Duration) uint64 {
	if now < before {
		return 0
	}
	return uint64(float64(now-before) / elapsed.Seconds())
}

// appendRecent appends n and keeps the latest most.
func appendRecent(all []uint64, n uint64, most int) []uint64 {
	all = append(all, n)
	return all[max(0, len(all)-most):]
}

// sparkline draws rates in width cells, the latest at the right, each as high as it is to the greatest of them. Where
// nothing was measured yet there is nothing.
func sparkline(rates []uint64, width int) string {
	rates = rates[max(0, len(rates)-width):]
	greatest := uint64(1)
	for _, n := range rates {
		greatest = max(greatest, n)
	}
	line := make([]rune, width)
	for i := range line {
		line[i] = ' '
	}
	const heights = "▁▂▃▄▅▆▇█"
	levels := []rune(heights)
	for i, n := range rates {
		level := 0 // only what is nothing is as low as this
		if n > 0 {
			level = 1 + int(float64(n)/float64(greatest)*float64(len(levels)-2))
		}
		line[width-len(rates)+i] = levels[min(level, len(levels)-1)]
	}
	return string(line)
}
