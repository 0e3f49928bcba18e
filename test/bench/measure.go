//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// task is something of which the time is taken.
type task struct {
	name    string
	prepare func() error // called before each run, and not counted; nil if nothing is to be done
	run     func() error
	note    string
	worker  *process // that does the work, so that its time on the cores is told; nil for none
	most    int      // runs, of what takes long; 0: as many as of the others
}

// timing is how long a task took.
type timing struct {
	name  string
	took  time.Duration
	ratio float64 // to the first task
	note  string
	cpu   time.Duration // of the worker, on all cores; 0 for none
}

// measure runs each task so many times and returns the medians. It runs them by
// turns, so that whatever else the host does hits all of them alike, and
// compares each with the first task of the same turn.
func measure(runs int, tasks []task) ([]timing, error) {
	times := make([][]time.Duration, len(tasks))
	cpu := make([][]time.Duration, len(tasks))
	ratios := make([][]float64, len(tasks))
	for run := range runs {
		for i, task := range tasks {
			if task.most > 0 && run >= task.most {
				continue
			}
			took, onCores, err := task.time()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", task.name, err)
			}
			times[i], cpu[i] = append(times[i], took), append(cpu[i], onCores)
			ratios[i] = append(ratios[i], float64(took)/float64(times[0][len(times[0])-1]))
		}
	}
	rows := make([]timing, len(tasks))
	for i, task := range tasks {
		rows[i] = timing{name: task.name, took: measuring.Median(times[i]), ratio: measuring.Median(ratios[i]), note: task.note, cpu: measuring.Median(cpu[i])}
	}
	return rows, nil
}

// time returns how long one run takes, and its worker's time on the cores.
func (t task) time() (took, cpu time.Duration, err error) {
	if t.prepare != nil {
		if err := t.prepare(); err != nil {
			return 0, 0, err
		}
	}
	before, err := t.worker.cpuTime()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	err = t.run()
	took = time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	after, err := t.worker.cpuTime()
	return took, after - before, err
}
