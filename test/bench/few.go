//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// fewTiming is how long a request for a few sockets among many took, and how
// much of that is above a walk that finds none.
type fewTiming struct {
	name              string
	took, walk, above time.Duration
	cpu               time.Duration // of the daemon, on all cores
}

// measureFew holds each task against a walk of the kernel's tables, and returns
// medians. What either takes depends on what the caches have from the one
// before it, so that in each run the task stands in the middle and the walk on
// both sides: what comes first and what comes later are the same for both.
func measureFew(runs int, walk task, tasks []task) ([]fewTiming, error) {
	rows := make([]fewTiming, len(tasks))
	for i, t := range tasks {
		var took, walked, above, cpu []time.Duration
		for range runs {
			var times, cores [4]time.Duration
			for at, of := range []task{walk, t, t, walk} {
				var err error
				if times[at], cores[at], err = of.time(); err != nil {
					return nil, fmt.Errorf("%s: %w", of.name, err)
				}
			}
			here, bare := (times[1]+times[2])/2, (times[0]+times[3])/2
			took, walked, above = append(took, here), append(walked, bare), append(above, here-bare)
			cpu = append(cpu, (cores[1]+cores[2])/2)
		}
		rows[i] = fewTiming{t.name, measuring.Median(took), measuring.Median(walked), measuring.Median(above), measuring.Median(cpu)}
	}
	return rows, nil
}

// fewTable returns the table of what measureFew found.
func fewTable(title string, rows []fewTiming) *measuring.Table {
	t := &measuring.Table{Title: title, Header: []string{"what", "median", "walk beside it", "above the walk", "CPU of the daemon"}}
	for _, r := range rows {
		t.Rows = append(t.Rows, []string{r.name, milliseconds(r.took), milliseconds(r.walk), milliseconds(r.above), milliseconds(r.cpu)})
	}
	return t
}

// fewTargets are the targets that requests for a few sockets have to reach.
func fewTargets(rows []fewTiming) (targets []target) {
	const most = time.Millisecond
	for _, r := range rows {
		targets = append(targets, target{
			fmt.Sprintf("%s: %d sockets", r.name, few), fmt.Sprintf("%s, %s above", milliseconds(r.took), milliseconds(r.above)),
			fmt.Sprintf("at most %s above the bare dump of no socket, %s", milliseconds(most), milliseconds(r.walk)), r.above <= most,
		})
	}
	return targets
}
