//go:build linux

package measuring

import "testing"

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i // 100 to 1
	}
	for _, tc := range []struct {
		name   string
		values []int
		p      int
		want   int
	}{
		{"of none", nil, 99, 0},
		{"of one", []int{7}, 99, 7},
		{"the upper of two", []int{2, 1}, 50, 2},
		{"the middle of three", []int{9, 1, 5}, 50, 5},
		{"one in a hundred is above", hundred, 99, 100},
		{"half are above", hundred, 50, 51},
		{"none is above", []int{1, 2, 3}, 100, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Percentile(tc.values, tc.p); got != tc.want {
				t.Errorf("percentile %d is %d, want %d", tc.p, got, tc.want)
			}
		})
	}
}
