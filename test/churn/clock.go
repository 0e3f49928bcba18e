//go:build linux

package churn

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// instant is a time by CLOCK_MONOTONIC, which all processes of a host share.
type instant time.Duration

// never is later than every instant.
const never = instant(math.MaxInt64)

func now() instant {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("read CLOCK_MONOTONIC: %v", err)) // every Linux has it
	}
	return instant(t.Nano())
}

func (i instant) add(d time.Duration) instant {
	if i == never {
		return never
	}
	return i + instant(d)
}

func (i instant) sub(from instant) time.Duration { return time.Duration(i - from) }
