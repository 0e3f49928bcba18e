//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// memory measures the memory of a daemon that answers ten full requests at the
// same time, again and again.
func memory(ctx context.Context, o options, connections int, found *section) error {
	d, err := serve(ctx, o.daemon)
	if err != nil {
		return err
	}
	defer d.close()
	const concurrent = 10
	clients := make([]*client, concurrent)
	for i := range clients {
		c, err := dial(ctx, d.address)
		if err != nil {
			return err
		}
		defer c.close()
		clients[i] = c
	}
	for range o.runs {
		errs := make([]error, concurrent)
		var asking sync.WaitGroup
		for i, c := range clients {
			asking.Go(func() { errs[i] = c.skip(call(getConnections)) })
		}
		asking.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	peak, err := d.peakMemory()
	if err != nil {
		return err
	}
	const mib, most = 1 << 20, 128
	found.targets = append(found.targets, target{
		fmt.Sprintf("peak resident memory, %d connections, %d full requests at once", connections, concurrent),
		fmt.Sprintf("%.1f MiB", float64(peak)/mib), fmt.Sprintf("at most %d MiB", most), peak <= most*mib,
	})
	return nil
}
