//go:build linux && interop

package interop_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"text/tabwriter"
)

// aspectOf is one aspect of the answer to one request.
type aspectOf struct{ request, aspect string }

// values are what monerod answers and what we do.
type values struct{ monerod, ours string }

// difference is one that is meant: what differs, by aspect, in the answers to
// some requests.
type difference struct {
	reason   string
	requests []string
	differs  map[string]values
}

// checkDifferences compares what was found with the list, which is printed, and
// fails for what is missing in either.
func checkDifferences(t *testing.T, found map[aspectOf]values, list []difference) {
	t.Helper()
	left := maps.Clone(found)
	for _, d := range list {
		t.Log(d.reason)
		table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "  request\tdiffers in\tmonerod\tconnectionsd")
		for _, name := range d.requests {
			for _, aspect := range slices.Sorted(maps.Keys(d.differs)) {
				at, want := aspectOf{name, aspect}, d.differs[aspect]
				switch got, ok := found[at]; {
				case !ok:
					t.Errorf("%s: there is no difference in %s: take it off the list", name, aspect)
				case got != want:
					t.Errorf("%s: %s: monerod %q, connectionsd %q, on the list are %q, %q", name, aspect, got.monerod, got.ours, want.monerod, want.ours)
				}
				delete(left, at)
				fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", name, aspect, cmp.Or(want.monerod, "-"), cmp.Or(want.ours, "-"))
			}
		}
		table.Flush()
	}
	for _, at := range slices.SortedFunc(maps.Keys(left), func(a, b aspectOf) int {
		return cmp.Or(cmp.Compare(a.request, b.request), cmp.Compare(a.aspect, b.aspect))
	}) {
		t.Errorf("%s: %s is not on the list: monerod %q, connectionsd %q", at.request, at.aspect, left[at].monerod, left[at].ours)
	}
}

func compact(t *testing.T, text json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b.String()
}
