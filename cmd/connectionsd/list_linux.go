package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/collector/owner"
)

// printConnections writes to stdout what opts ask for, and to stderr what this process may not see, which is no error.
//
// The broken pipe of "connectionsd list | head" ends the process by SIGPIPE, quietly, as it does every filter: that is
// what the Go runtime makes of it on descriptor 1. Any other failure to write is an error.
func printConnections(ctx context.Context, opts listOptions, stdout, stderr io.Writer) error {
	host, err := collector.NewHost(collector.HostOptions{}) // a sample that fails is nobody's loss: the snapshot tells of its own dump
	if err != nil {
		return err
	}
	if err := owner.CheckPrivilege(); err != nil {
		var missing *capability.MissingError
		if !errors.As(err, &missing) {
			return err
		}
		fmt.Fprintf(stderr, "connectionsd: %v\n", missing)
	}

	// The collector outlives ctx, so that what ended ctx is the reason that is told, not that the collector has stopped.
	collecting, stopCollecting := context.WithCancel(context.WithoutCancel(ctx))
	var collectorDone sync.WaitGroup
	collectorDone.Go(func() { host.Run(collecting) })
	output, err := opts.output(ctx, host)
	stopCollecting()
	collectorDone.Wait()
	if err != nil {
		return err
	}
	if _, err := stdout.Write(output); err != nil {
		return fmt.Errorf("print the connections: %w", err)
	}
	return nil
}
