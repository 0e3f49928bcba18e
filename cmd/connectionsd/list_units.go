package main

import (
	"errors"
	"fmt"
	"strconv"
)

// units are those that sizes and rates are shown in.
type units string

const (
	unitsIEC   units = "iec"   // Ki is 1024 bytes, Mi 1024 Ki and so on
	unitsSI    units = "si"    // k is 1000 bytes, M 1000 k and so on
	unitsBytes units = "bytes" // bytes, all digits
	// unitsRaw is for programs: bytes, and all else as numbers of its smallest unit.
	unitsRaw units = "raw"
)

func parseUnits(s string) (units, error) {
	switch u := units(s); u {
	case unitsIEC, unitsSI, unitsBytes:
		return u, nil
	}
	return "", errors.New("want iec, si or bytes")
}

// next returns the units that the key of watch switches to.
func (u units) next() units {
	switch u {
	case unitsIEC:
		return unitsSI
	case unitsSI:
		return unitsBytes
	default:
		return unitsIEC
	}
}

// size returns n bytes in the largest unit that it has one of, rounded down, with one decimal; bytes without a unit.
func (u units) size(n uint64) string {
	step, names := uint64(1024), []string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	switch u {
	case unitsIEC:
	case unitsSI:
		step, names = 1000, []string{"k", "M", "G", "T", "P", "E"}
	default:
		return strconv.FormatUint(n, 10)
	}
	if n < step {
		return strconv.FormatUint(n, 10)
	}
	unit, rest := -1, uint64(0)
	for n >= step {
		unit, rest, n = unit+1, n%step, n/step
	}
	return fmt.Sprintf("%d.%d%s", n, rest*10/step, names[unit])
}

// duration returns an age in seconds by its two largest units, rounded down, and with > before it where it is only a floor.
func (u units) duration(seconds uint64, exact bool) string {
	if u == unitsRaw {
		return strconv.FormatUint(seconds, 10)
	}
	floor := ">"
	if exact {
		floor = ""
	}
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case seconds < minute:
		return fmt.Sprintf("%s%ds", floor, seconds)
	case seconds < hour:
		return fmt.Sprintf("%s%dm%02ds", floor, seconds/minute, seconds%minute)
	case seconds < day:
		return fmt.Sprintf("%s%dh%02dm", floor, seconds/hour, seconds%hour/minute)
	default:
		return fmt.Sprintf("%s%dd%02dh", floor, seconds/day, seconds%day/hour)
	}
}

// roundTrip returns a time of so many microseconds in milliseconds with one decimal, rounded down.
func (u units) roundTrip(microseconds uint64) string {
	if u == unitsRaw {
		return strconv.FormatUint(microseconds, 10)
	}
	return fmt.Sprintf("%d.%dms", microseconds/1000, microseconds%1000/100)
}
