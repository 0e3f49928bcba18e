//go:build linux

package collector

import (
	"testing"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// Run is told of a flight that is pending, and of none any more once all have boarded: it would look for room for nobody, and
// ask those who read for theirs.
func TestBoardingTakesTheWord(t *testing.T) {
	c := New(Options{Dumper: sockdiag.New(nil, nil, 1)})
	ask := func(filter *model.Filter) {
		t.Helper()
		if _, err := c.Follow(Want{}, filter); err != nil {
			t.Fatal(err)
		}
	}
	ask(nil)
	<-c.wake
	ask(nil) // before the first has boarded
	ask(&model.Filter{LocalPorts: []uint16{18080}})
	if f := c.board(); f.boarded != 2 || len(c.wake) != 1 {
		t.Errorf("%d have boarded and Run is told %d times, want 2 and once, of the other flight", f.boarded, len(c.wake))
	}
	ask(&model.Filter{LocalPorts: []uint16{18080}})
	if f := c.board(); f.boarded != 2 || len(c.wake) != 0 {
		t.Errorf("%d have boarded and Run is told %d times, want 2 and not any more", f.boarded, len(c.wake))
	}
	if f := c.board(); f != nil {
		t.Errorf("a third flight with %d", f.boarded)
	}
}
