//go:build linux

package main

import (
	"fmt"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// allocationsOf measures how many objects the daemon allocates for a request,
// once it has made some. What it allocates to be asked for the count, some
// thousands, is left out.
func (d *daemon) allocationsOf(request []byte) (float64, error) {
	const warm, requests, alone = 3, 40, 5
	if _, err := d.mallocsOf(request, warm); err != nil {
		return 0, err
	}
	var counts []float64
	for range alone {
		n, err := d.mallocsOf(request, 0)
		if err != nil {
			return 0, err
		}
		counts = append(counts, float64(n))
	}
	n, err := d.mallocsOf(request, requests)
	return (float64(n) - measuring.Median(counts)) / requests, err
}

// allocationsTarget holds what one more socket allocates, from few to many,
// against nothing. Of a request without regard to its length, of HTTP, and of
// each process and listener there is as much with few sockets as with many.
func allocationsTarget(request string, few, many float64, sockets int) target {
	perSocket := (many - few) / float64(sockets)
	return target{
		"allocations for each socket: " + request,
		fmt.Sprintf("%.4f (%.0f in a whole request, of which %.0f with few sockets too)", perSocket, many, few),
		"0: less than 0.001", perSocket < 0.001,
	}
}

// mallocsOf returns how many objects the daemon allocates while it is asked so
// many times.
func (d *daemon) mallocsOf(request []byte, requests int) (int64, error) {
	before, err := d.mallocs()
	if err != nil {
		return 0, err
	}
	for range requests {
		if err := d.skip(request); err != nil {
			return 0, err
		}
	}
	after, err := d.mallocs()
	return after - before, err
}
