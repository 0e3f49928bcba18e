package main

import "fmt"

// unknown is the error for a name that is none of those known: kind says what it names ("flag"), near is the known name that
// it was probably meant to be ("" for none), list where all known ones can be read.
func unknown(kind, name, near, list string) error {
	if near == "" {
		return fmt.Errorf("unknown %s %.100q; see %s", kind, name, list)
	}
	return fmt.Errorf("unknown %s %.100q; did you mean %q?", kind, name, near)
}

// nearest returns the one of known that is the fewest edits away from name, the first of equals, or "" when even that one is
// too far away to be a slip of the pen.
func nearest(name string, known []string) string {
	best, bestEdits := "", -1
	for _, k := range known {
		most := max(2, len(k)/3)
		// No fewer edits than the difference in length: a name out of reach, however long, costs nothing.
		if len(name) > len(k)+most || len(k) > len(name)+most {
			continue
		}
		if n := edits(name, k); n <= most && (bestEdits < 0 || n < bestEdits) {
			best, bestEdits = k, n
		}
	}
	return best
}

// edits returns the Levenshtein distance of a and b: how many bytes have to be inserted, deleted or replaced to make one of
// the other.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
