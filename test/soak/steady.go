//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// periods is into how many parts the time is divided, of which the first is the warm-up: of half an hour into six of five minutes.
const periods = 6

// residentWithin is by how much the resident memory of a period may depart from that of the first after the warm-up.
const residentWithin = 0.05

// steadiness tells whether the daemon takes as much at the end as it did after the warm-up.
func steadiness(o options, samples []sample) []figure {
	at := warmUp(o.soak)
	figures := []figure{
		flat("open files", at, samples, func(s sample) int { return s.files }),
		flat("goroutines", at, samples, func(s sample) int { return s.goroutines }),
		flat("threads", at, samples, func(s sample) int { return s.threads }),
	}
	means, least, most := residentMeans(samples, at)
	if len(means) == 0 {
		return append(figures, wants("resident memory", "too few samples", "within 5 %", false))
	}
	lowest, highest := slices.Min(means), slices.Max(means)
	f := wants(fmt.Sprintf("resident memory, means of %s from %s on", at, at), fmt.Sprintf("%s at first, then %s (%+.1f %%) to %s (%+.1f %%)",
		mebibytes(means[0]), mebibytes(lowest), percentAbove(lowest, means[0]), mebibytes(highest), percentAbove(highest, means[0])), "within 5 %",
		within(lowest, means[0]) && within(highest, means[0]))
	if o.short { // a daemon that has just begun still grows
		f.want = ""
	}
	return append(figures, f, told("resident memory at a moment", "%s to %s", mebibytes(least), mebibytes(most)))
}

// flat holds what there is of something in the last third of the samples after at against the first third.
func flat(what string, at time.Duration, samples []sample, of func(sample) int) figure {
	var values []int
	for _, s := range samples {
		if s.at >= at {
			values = append(values, of(s))
		}
	}
	third := len(values) / 3
	if third == 0 {
		return wants(what, "too few samples", "flat", false)
	}
	lowest, highest := values[0], values[0]
	for _, v := range values {
		lowest, highest = min(lowest, v), max(highest, v)
	}
	before, after := mean(values[:third]), mean(values[len(values)-third:])
	// Each sample is of one moment, in which some requests are being answered.
	return wants(what, fmt.Sprintf("%d to %d, on average %.1f and at the end %.1f", lowest, highest, before, after), "flat", after <= before*1.02+1)
}

func mean(values []int) float64 {
	sum := 0
	for _, v := range values {
		sum += v
	}
	return float64(sum) / float64(len(values))
}

// residentMeans returns what was resident on average in each period from the second on, and the least and the most at a moment
// of them. At a moment it is up to twice what is in use, by how much garbage there is.
func residentMeans(samples []sample, period time.Duration) (means []int64, least, most int64) {
	var sum, count int64
	number := time.Duration(1)
	end := func() {
		if count > 0 {
			means = append(means, sum/count)
		}
		sum, count = 0, 0
	}
	for _, s := range samples {
		if s.at < period {
			continue
		}
		if n := s.at / period; n > number && n < periods {
			end()
			number = n
		}
		sum += s.resident
		count++
		if least == 0 {
			least = s.resident
		}
		least, most = min(least, s.resident), max(most, s.resident)
	}
	end()
	return means, least, most
}

func percentAbove(n, level int64) float64 { return 100 * float64(n-level) / float64(level) }

func within(n, level int64) bool {
	return float64(n) >= float64(level)*(1-residentWithin) && float64(n) <= float64(level)*(1+residentWithin)
}

// soakTable shows six moments, of half an hour every fifth minute.
func soakTable(samples []sample, lasting time.Duration) *measuring.Table {
	t := &measuring.Table{Title: "soak: what the daemon took", Header: []string{"after", "resident", "files", "goroutines", "threads"}}
	next := lasting / periods
	for i, s := range samples {
		if s.at < next && i < len(samples)-1 {
			continue
		}
		next += lasting / periods
		t.Rows = append(t.Rows, []string{s.at.Round(time.Second).String(), mebibytes(s.resident), fmt.Sprint(s.files), fmt.Sprint(s.goroutines), fmt.Sprint(s.threads)})
	}
	return t
}
