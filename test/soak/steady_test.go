//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sampled returns samples ten seconds apart.
func sampled(usages ...usage) (samples []sample) {
	for i, u := range usages {
		samples = append(samples, sample{time.Duration(i+1) * 10 * time.Second, u})
	}
	return samples
}

func files(counts ...int) (usages []usage) {
	for _, n := range counts {
		usages = append(usages, usage{files: n})
	}
	return usages
}

func TestFlat(t *testing.T) {
	const at = 30 * time.Second
	for _, tc := range []struct {
		name     string
		counts   []int
		measured string
		met      bool
	}{
		{"the same", []int{1, 1, 30, 30, 30, 30, 30, 30}, "30 to 30, on average 30.0 and at the end 30.0", true},
		{"up and down", []int{1, 1, 30, 35, 30, 30, 35, 30}, "30 to 35, on average 32.5 and at the end 32.5", true},
		{"less in the end", []int{1, 1, 30, 30, 30, 30, 20, 20}, "20 to 30, on average 30.0 and at the end 20.0", true},
		{"more in the end", []int{1, 1, 30, 30, 31, 31, 32, 32}, "30 to 32, on average 30.0 and at the end 32.0", false},
		{"what was before does not count", []int{99, 99, 30, 30, 30, 30, 30, 30}, "30 to 30, on average 30.0 and at the end 30.0", true},
		{"too few samples", []int{1, 1, 30, 30}, "too few samples", false},
	} {
		got := flat("files", at, sampled(files(tc.counts...)...), func(s sample) int { return s.files })
		if want := wants("files", tc.measured, "flat", tc.met); got != want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, want)
		}
	}
}

func TestResidentMemory(t *testing.T) {
	o := options{soak: 3 * time.Minute} // the warm-up is 30 s
	const mib = 1 << 20
	resident := func(all ...int64) (usages []usage) {
		for _, n := range all {
			usages = append(usages, usage{resident: n * mib})
		}
		return usages
	}
	for _, tc := range []struct {
		name     string
		resident []int64 // every ten seconds, six a minute
		measured string
		met      bool
		moments  string
	}{
		{
			"up and down, and the same on average",
			[]int64{10, 20, 90, 110, 100, 90, 110, 100, 110, 90, 100, 90, 110, 100, 110, 90, 100, 100},
			"100.0 MiB at first, then 100.0 MiB (+0.0 %) to 100.0 MiB (+0.0 %)", true, "90.0 MiB to 110.0 MiB",
		},
		{
			"as much as may be",
			[]int64{10, 20, 100, 100, 100, 105, 105, 105, 95, 95, 95, 100, 100, 100, 100, 100, 100, 100},
			"100.0 MiB at first, then 95.0 MiB (-5.0 %) to 105.0 MiB (+5.0 %)", true, "95.0 MiB to 105.0 MiB",
		},
		{
			"grows",
			[]int64{10, 20, 100, 100, 100, 102, 102, 102, 104, 104, 104, 106, 106, 106, 106, 106, 106, 106},
			"100.0 MiB at first, then 100.0 MiB (+0.0 %) to 106.0 MiB (+6.0 %)", false, "100.0 MiB to 106.0 MiB",
		},
		{
			"shrinks",
			[]int64{10, 20, 100, 100, 100, 94, 94, 94, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
			"100.0 MiB at first, then 94.0 MiB (-6.0 %) to 100.0 MiB (+0.0 %)", false, "94.0 MiB to 100.0 MiB",
		},
	} {
		all := steadiness(o, sampled(resident(tc.resident...)...))
		want := []figure{
			wants("resident memory, means of 30s from 30s on", tc.measured, "within 5 %", tc.met),
			told("resident memory at a moment", "%s", tc.moments),
		}
		if diff := cmp.Diff(want, all[len(all)-2:], cmp.AllowUnexported(figure{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	if all := steadiness(o, nil); missed(&section{figures: all}) == nil {
		t.Error("without samples all is met")
	}
}

func TestSoakTable(t *testing.T) {
	var usages []usage
	for i := range 12 {
		usages = append(usages, usage{resident: int64(i+1) << 20, files: i, goroutines: 2 * i, threads: 3 * i})
	}
	got := soakTable(sampled(usages...), 2*time.Minute)
	want := [][]string{
		{"20s", "2.0 MiB", "1", "2", "3"},
		{"40s", "4.0 MiB", "3", "6", "9"},
		{"1m0s", "6.0 MiB", "5", "10", "15"},
		{"1m20s", "8.0 MiB", "7", "14", "21"},
		{"1m40s", "10.0 MiB", "9", "18", "27"},
		{"2m0s", "12.0 MiB", "11", "22", "33"},
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
