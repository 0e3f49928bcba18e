package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func newConfigCheckCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether serve would take its configuration",
		Long: "check reads the configuration as serve would, and the files that it names, and says all that is wrong with it.\n" +
			"What only shows at the start, such as a port that is in use, it does not find out.",
		Example: "  connectionsd config check --config-file /etc/connectionsd/connectionsd.conf && systemctl reload connectionsd",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, all, errs := examine(cmd.Flags(), p.environ, os.Open)
			if len(errs) == 0 {
				errs = checkNamed(cfg)
			}
			if len(errs) > 0 {
				return &usageError{errors.Join(errs...)}
			}
			warnings := cfg.Warnings
			if !cfg.RPCBindIP.IsValid() && cfg.UnixSocket == "" {
				warnings = append(warnings, "--rpc-bind-ip none: there is nothing to listen on unless systemd passes a socket")
			}
			for _, warning := range warnings {
				fmt.Fprintf(p.stderr, "connectionsd: warning: %s\n", warning)
			}
			given := 0
			for _, k := range keys() {
				if written(all, k.name) != nil {
					given++
				}
			}
			if _, err := fmt.Fprintf(p.stdout, "ok: settings given: %d, the others are defaults\n", given); err != nil {
				return fmt.Errorf("print the outcome: %w", err)
			}
			return nil
		},
	}
	addFlags(cmd.Flags())
	return cmd
}

// checkNamed returns what is wrong with what cfg names: files and the user.
func checkNamed(cfg Config) []error {
	var errs []error
	if _, err := readCertificates(cfg, os.Open); err != nil {
		errs = append(errs, err)
	}
	if err := checkUser(cfg); err != nil {
		errs = append(errs, err)
	}
	return errs
}
