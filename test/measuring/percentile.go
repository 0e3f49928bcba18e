//go:build linux

package measuring

import (
	"cmp"
	"slices"
)

// Percentile returns the value that p percent of the values are not above, and sorts them; the zero value of none.
func Percentile[T cmp.Ordered](values []T, p int) (v T) {
	if len(values) == 0 {
		return v
	}
	slices.Sort(values)
	return values[min(len(values)*p/100, len(values)-1)]
}

// Median returns the median of values, the upper of two, and sorts them; the zero value of none.
func Median[T cmp.Ordered](values []T) T { return Percentile(values, 50) }
