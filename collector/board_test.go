//go:build linux

package collector

import (
	"testing"
	"time"

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

// However often somebody comes while the others are waited for, or however long a look takes, the dump begins after some time.
func TestGatheringHasALimit(t *testing.T) {
	const lookWithin = gatherWithin / 4
	now, asked := time.Duration(0), 0
	c := New(Options{Dumper: sockdiag.New(nil, nil, 1)})
	c.options.Clock = func() time.Duration {
		if _, err := c.Follow(Want{}, nil); err != nil {
			t.Fatal(err)
		}
		now, asked = now+lookWithin, asked+1
		return now
	}
	c.gathering.expected, c.gathering.took = 1000, time.Second
	if both, ok := (sockdiag.Only{}).WithListeners(); ok {
		c.gathering.only = both
	}
	c.gather()
	if want := 1 + int(gatherWithin/lookWithin); asked != want {
		t.Errorf("it has waited while %d came, want %d", asked, want)
	}
}
