package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newListCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print the connections that this host has now",
		Long: "list takes one look at this host, prints its TCP connections as a table and ends. It needs no daemon; with\n" +
			"--rpc-address it asks one.\n\n" +
			"An age after > is only a floor. On a terminal the table fits it: what is shortened ends in …, and --wide shows all.",
		Example: "  connectionsd list --process monerod --sort=-recv --limit 10\n" +
			"  connectionsd list --listeners\n" +
			"  connectionsd list --rpc-address node.example.org:18081 --rpc-login-file login",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := resolveLook(cmd.Flags(), listOptions(), p.environ)
			if err != nil {
				return &usageError{err}
			}
			return printLook(cmd.Context(), &o, p)
		},
	}
	addOptions(cmd.Flags(), listOptions())
	return cmd
}

// printLook takes one look and prints it.
//
// The broken pipe of "connectionsd list | head" ends the process by SIGPIPE, quietly, as it does every filter: that is
// what the Go runtime makes of it on descriptor 1. Any other failure to write is an error.
func printLook(ctx context.Context, o *lookOptions, p program) error {
	from, err := openSource(ctx, o, p.stderr)
	if err != nil {
		return err
	}
	output, err := o.output(ctx, from, screenOf(p.stdout, o.colour, p.environ))
	from.close()
	if err != nil {
		return err
	}
	if _, err := p.stdout.Write(output); err != nil {
		return fmt.Errorf("print the connections: %w", err)
	}
	return nil
}

// openSource opens what o says is to be looked at. What this process may not see goes to stderr in one line; it is no error.
func openSource(ctx context.Context, o *lookOptions, stderr io.Writer) (source, error) {
	if o.address != nil {
		return openDaemon(o)
	}
	return openHost(ctx, o, stderr)
}

// output returns what list prints of one look.
func (o *lookOptions) output(ctx context.Context, from source, s screen) ([]byte, error) {
	if o.json {
		result, err := ask(ctx, from, o, o.extended)
		return append(result, '\n'), err
	}
	entries, err := look(ctx, from, o)
	if err != nil {
		return nil, err
	}
	sortEntries(entries, o.sort)
	if o.limit > 0 {
		entries = entries[:min(len(entries), o.limit)]
	}
	if o.csv {
		return csvText(entries, o)
	}
	return newTable(entries, o, s).text(!o.noHeader, s.colour), nil
}
