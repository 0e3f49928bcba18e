package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newConfigCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or show what serve would be told to do",
		Long:  "config reads the configuration as serve would, from the same flags, variables and file, and starts nothing.",
		Example: "  connectionsd config check --config-file /etc/connectionsd/connectionsd.conf\n" +
			"  connectionsd config show --changed",
		Args: cobra.ArbitraryArgs, // RunE says what is wrong with them
		RunE: func(cmd *cobra.Command, args []string) error {
			names := commandNames(cmd)
			if len(args) > 0 {
				return &usageError{unknown("command", "config "+args[0], nearest("config "+args[0], []string{"config check", "config show"}), "connectionsd config --help")}
			}
			return &usageError{fmt.Errorf("no command given: want config and one of %s; see connectionsd config --help", strings.Join(names, ", "))}
		},
	}
	cmd.AddCommand(newConfigCheckCommand(p), newConfigShowCommand(p))
	return cmd
}
