//go:build linux

package sockdiag

import "testing"

// After a call that took too long the scheduler is told of those of the same request, and of the next ones.
func TestSchedulerIsToldOfLongCalls(t *testing.T) {
	var s scheduler
	untold := func(when string, want bool) {
		t.Helper()
		if s.untold != want {
			t.Errorf("%s: the scheduler is told: %t, want %t", when, !s.untold, !want)
		}
	}
	s.begin(false)
	untold("what can take long", false)
	s.begin(true)
	untold("what is answered at once", true)
	s.took(tooLong)
	untold("after as long as may be", true)
	s.took(tooLong + 1)
	untold("after what took too long", false)
	for range toldFor {
		s.begin(true)
		untold("a request soon after", false)
	}
	s.begin(false)
	untold("what can take long, later", false)
	s.begin(true)
	untold("a request later", true)
}
