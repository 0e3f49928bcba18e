//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// task is something of which the time is taken.
type task struct {
	name    string
	prepare func() error // called before each run, and not counted; nil if nothing is to be done
	run     func() error
	note    string
}

// measure runs each task so many times and returns a row for each. It runs them
// by turns, so that whatever else the host does hits all of them alike, and
// compares each with the first task of the same turn.
func measure(runs int, tasks []task) ([]row, error) {
	times := make([][]time.Duration, len(tasks))
	ratios := make([][]float64, len(tasks))
	for range runs {
		for i, task := range tasks {
			took, err := task.time()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", task.name, err)
			}
			times[i] = append(times[i], took)
			ratios[i] = append(ratios[i], float64(took)/float64(times[0][len(times[0])-1]))
		}
	}
	rows := make([]row, len(tasks))
	for i, task := range tasks {
		rows[i] = row{name: task.name, took: median(times[i]), ratio: median(ratios[i]), note: task.note}
	}
	return rows, nil
}

// time returns how long one run takes.
func (t task) time() (time.Duration, error) {
	if t.prepare != nil {
		if err := t.prepare(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	err := t.run()
	return time.Since(start), err
}

// median returns the median of values, the upper of two, and sorts them.
func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
