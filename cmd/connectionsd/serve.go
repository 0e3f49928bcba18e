package main

import (
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// order is what serve is told to do, and with what.
type order struct {
	config  Config
	again   func() (Config, error) // reads the configuration again: the same flags and variables, and the files as they are
	hangups <-chan os.Signal       // each asks for that; nil: nobody does
	log     zerolog.Logger
	level   *logLevel // of log
	stdout  io.Writer
}

func newServeCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer requests until interrupted",
		Long: "serve answers requests until it gets SIGINT or SIGTERM. At SIGHUP it reads its configuration again.\n\n" +
			"Each flag is also a key of the configuration file (rpc-bind-port=18081) and an environment variable\n" +
			"(CONNECTIONSD_RPC_BIND_PORT=18081). A flag wins over the variable, the variable over the file.",
		Example: "  connectionsd serve\n" +
			"  connectionsd serve --scope 18080 --rpc-bind-port 28081\n" +
			"  connectionsd serve --rpc-bind-ip none --unix-socket /run/connectionsd.sock\n" +
			"  CONNECTIONSD_ACCESS_TOKEN=$(cat token) connectionsd serve --rpc-bind-ip 192.0.2.7\n" +
			"  sudo connectionsd serve --user nobody --config-file /etc/connectionsd/connectionsd.conf",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var hangups <-chan os.Signal
			if p.hangups != nil {
				hangups = p.hangups() // first of all: none that comes from now on ends the daemon
			}
			cfg, err := resolve(cmd.Flags(), p.environ, os.Open)
			if err != nil {
				return &usageError{err}
			}
			again := func() (Config, error) { return resolve(cmd.Flags(), p.environ, openAgain) }
			log, level := newLogger(cfg, p.stderr)
			return p.serve(cmd.Context(), order{cfg, again, hangups, log, level, p.stdout})
		},
	}
	addFlags(cmd.Flags())
	return cmd
}
