//go:build linux

package main

import (
	"context"
	"fmt"
)

// allocations measures how many objects the daemon allocates for each socket of
// a full request, once it has made some.
func allocations(ctx context.Context, o options, connections int, found *section) error {
	d, err := serve(ctx, o.daemon, "--bpf", "on")
	if err != nil {
		return err
	}
	defer d.close()
	connections += 2
	const warm, requests = 3, 10
	for _, asked := range []struct {
		name  string
		bytes []byte
	}{
		{jsonrpcName, call(getConnections)},
		{restBPFName, get(apiConnections)},
	} {
		if _, err := d.mallocsOf(asked.bytes, warm); err != nil {
			return err
		}
		all, err := d.mallocsOf(asked.bytes, requests)
		if err != nil {
			return err
		}
		// Of HTTP and of the metrics themselves.
		other, err := d.mallocsOf(call(getVersion), requests)
		if err != nil {
			return err
		}
		each := float64(all-other) / requests
		perSocket := each / float64(connections)
		found.targets = append(found.targets, target{
			"allocations for each socket: " + asked.name, fmt.Sprintf("%.4f (%.0f in the whole request)", perSocket, each),
			"0: less than 0.001", perSocket < 0.001,
		})
	}
	return nil
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
