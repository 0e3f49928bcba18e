package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes of the command.
const (
	exitOK      = 0
	exitFailure = 1 // what was asked for could not be done
	exitUsage   = 2 // the command line, the environment or the configuration file is wrong
)

// usageError marks what the user has to put right before anything can run.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// program is what the commands know of the process that they run in.
type program struct {
	stdout, stderr io.Writer
	environ        []string // "NAME=value" each, as from os.Environ
	serve          func(ctx context.Context, o order) error
	hangups        func() <-chan os.Signal // returns the SIGHUPs from then on; nil: nobody sends one
}

// run executes the command line args (without the program's name) and returns the exit code. A failure is told on stderr, each
// thing that is wrong in a line. Cancelling ctx asks a running command to end.
func (p program) run(ctx context.Context, args []string) int {
	root := newRootCommand(p)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		allowTwice(root)
	}
	// A copy that is never nil: cobra takes nil for "read os.Args".
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p.stderr, "connectionsd: %s\n", line)
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func newRootCommand(p program) *cobra.Command {
	root := &cobra.Command{
		Use:   "connectionsd",
		Short: "Which TCP connections does this host have?",
		Long: "connectionsd answers one question, which TCP connections this host has right now, as Monero's get_connections\n" +
			"(JSON-RPC 2.0) and as GET /api/connections (REST).",
		Example: "  connectionsd serve\n" +
			"  connectionsd list\n" +
			"  connectionsd config check --config-file /etc/connectionsd/connectionsd.conf",
		Args: cobra.ArbitraryArgs, // RunE says what is wrong with them
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return &usageError{fmt.Errorf("no command given: want one of %s; see connectionsd --help",
				strings.Join(commandNames(cmd), ", "))}
		},
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // newCompletionCommand is ours
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usageByGroups)
	root.AddCommand(
		newCompletionCommand(p),
		newConfigCommand(p),
		newListCommand(p),
		newServeCommand(p),
		newVersionCommand(p),
		newWatchCommand(p),
	)
	completeFlags(root, p)
	return root
}

// noArguments refuses whatever follows a command's flags. After the flag of a secret it may be a part of that.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		for _, k := range keys() {
			if k.visibility == secret && cmd.Flags().Changed(k.name) {
				return &usageError{fmt.Errorf("unexpected argument after the flags: want only flags; see %s --help", cmd.CommandPath())}
			}
		}
		return &usageError{fmt.Errorf("unexpected argument %q: want only flags; see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

func unknownCommand(root *cobra.Command, name string) error {
	return &usageError{unknown("command", name, nearest(name, commandNames(root)), "connectionsd --help")}
}

// commandNames returns the names of root's commands that its help lists, less cobra's own.
func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// flagError says what pflag found wrong with the command line in the words of this command's other errors.
func flagError(cmd *cobra.Command, err error) error {
	// "connectionsd srve --rpc-bind-port 1": the flag is unknown only because the command is.
	if args := cmd.Flags().Args(); !cmd.HasParent() && len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	var (
		absent  *pflag.NotExistError
		valued  *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
		syntax  *pflag.InvalidSyntaxError
	)
	help := cmd.CommandPath() + " --help"
	switch {
	case errors.As(err, &absent) && absent.GetSpecifiedShortnames() != "":
		err = unknown("flag", "-"+absent.GetSpecifiedName(), "", help)
	case errors.As(err, &absent):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		// Without what no name has: "--rpc-login:user:password".
		rest := strings.TrimLeft(absent.GetSpecifiedName(), keyCharacters)
		name := strings.TrimSuffix(absent.GetSpecifiedName(), rest)
		near := nearest(name, known)
		if near != "" {
			near = "--" + near
		}
		err = unknown("flag", "--"+name, near, help)
	case errors.As(err, &valued):
		f := valued.GetFlag()
		err = fmt.Errorf("--%s: no value given: want --%s %s", f.Name, f.Name, f.Value.Type())
	case errors.As(err, &invalid) && isSecret(invalid.GetFlag()):
		err = fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	case errors.As(err, &invalid):
		err = fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
	case errors.As(err, &syntax):
		flag, _, _ := strings.Cut(syntax.GetSpecifiedFlag(), "=")
		err = fmt.Errorf("bad flag %q: want --name or --name=value; see %s", flag, help)
	}
	return &usageError{err}
}

// isSecret reports whether the values of f must not be repeated.
func isSecret(f *pflag.Flag) bool {
	v, ok := f.Value.(*flagValue)
	return ok && v.key.visibility == secret
}
