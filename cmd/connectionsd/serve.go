package main

import (
	"github.com/spf13/cobra"
)

func newServeCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer requests until interrupted",
		Long: "serve answers requests until it gets SIGINT or SIGTERM.\n\n" +
			"Each flag is also a key of the configuration file (rpc-bind-port=18081) and an environment variable\n" +
			"(CONNECTIONSD_RPC_BIND_PORT=18081). A flag wins over the variable, the variable over the file.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := resolve(cmd.Flags(), p.environ)
			if err != nil {
				return &usageError{err}
			}
			return p.serve(cmd.Context(), cfg, newLogger(cfg, p.stderr), p.stdout)
		},
	}
	addFlags(cmd.Flags())
	return cmd
}
