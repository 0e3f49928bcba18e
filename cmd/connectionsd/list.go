package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/rpc"
)

func newListCommand(p program) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print the connections that this host has now",
		Long: "list takes one look at this host, prints its TCP connections as a table and ends. It needs no daemon.\n\n" +
			"An age after > is only a floor. RECV and SENT are payload, in units of 1024 bytes.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.extended && !opts.json {
				return &usageError{errors.New("--extended: adds to the JSON only: want --json --extended")}
			}
			return printConnections(cmd.Context(), opts, p.stdout, p.stderr)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	// Not BoolVar, whose errors do not say what would be right.
	flags.BoolFunc("json", "print the result of get_connections instead of a table", setBool(&opts.json))
	flags.BoolFunc("extended", "with --json: what the kernel says of each socket, and its process", setBool(&opts.extended))
	return cmd
}

func setBool(b *bool) func(string) error {
	return func(s string) (err error) {
		*b, err = parseBool(s)
		return err
	}
}

// listOptions say what list prints.
type listOptions struct {
	json     bool // the result of get_connections, not a table
	extended bool // with the member socket; only with json
}

// output returns what list prints of one look at c.
func (o listOptions) output(ctx context.Context, c rpc.Collector) ([]byte, error) {
	if o.json {
		params := json.RawMessage(fmt.Sprintf(`{"extended":%t}`, o.extended))
		var result rpc.Reply
		err := rpc.GetConnections(c, rpc.ConnectionsOptions{})(ctx, params, &result)
		return append(result.Buf, '\n'), err
	}
	following, err := c.Follow(collector.Want{Owners: true}, nil)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	defer following.Close()
	snap, err := following.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	return connectionTable(connections(snap)), nil
}
