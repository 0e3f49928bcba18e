package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shells are those that completion knows.
func shells() []string { return []string{"bash", "fish", "zsh"} }

func newCompletionCommand(p program) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|fish|zsh",
		Short: "Print what makes a shell complete this command",
		Long: "completion prints a script for a shell, which then completes commands, flags and their values: ports, processes and\n" +
			"namespaces as they are at that moment. That of bash needs the package bash-completion, that of zsh comes after compinit.",
		Example: "  source <(connectionsd completion bash)\n" +
			"  source <(connectionsd completion zsh)\n" +
			"  connectionsd completion fish | source",
		ValidArgs: shells(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells(), args[0]) {
				return &usageError{fmt.Errorf("%s %.100q: want the name of a shell: one of %s", cmd.Name(), strings.Join(args, " "), strings.Join(shells(), ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(p.stdout, true)
			case "fish":
				err = root.GenFishCompletion(p.stdout, true)
			default:
				err = root.GenZshCompletion(p.stdout)
			}
			if err != nil {
				return fmt.Errorf("print the script: %w", err)
			}
			return nil
		},
	}
}

// completer returns what a flag could be given that begins with what is typed already.
type completer func(cmd *cobra.Command, typed string) []cobra.Completion

// completeFlags says of each flag of each command what completes it. One that has FILE, PATH or FILE-like for its value is
// left to the shell.
func completeFlags(root *cobra.Command, p program) {
	completers := p.completers()
	for _, cmd := range commandsBelow(root) {
		if cmd.ValidArgs == nil {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			complete, known := completers[f.Name]
			if kind := f.Value.Type(); !known && (kind == "FILE" || kind == "PATH") {
				return
			}
			v, ours := f.Value.(*flagValue)
			isList := ours && v.key.kind == list
			// It fails only for a flag that is not there, or has one already.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
				if complete == nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				takeOnce(cmd.Flags())
				if isList {
					return completeList(complete, cmd, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
				}
				return beginning(complete(cmd, typed), typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
			})
		})
	}
}

// commandsBelow are those below root.
func commandsBelow(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, cmd := range root.Commands() {
		all = append(append(all, cmd), commandsBelow(cmd)...)
	}
	return all
}

// allowTwice lets the flags of each command be given more than once: cobra parses what is being completed twice over.
func allowTwice(root *cobra.Command) {
	for _, cmd := range commandsBelow(root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if v, ok := f.Value.(*flagValue); ok {
				v.key.kind = list
			}
		})
	}
}

// takeOnce takes back what came of allowTwice.
func takeOnce(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		v, ok := f.Value.(*flagValue)
		if !ok {
			return
		}
		var once []string
		for _, value := range v.values {
			if !slices.Contains(once, value) {
				once = append(once, value)
			}
		}
		v.values = once
	})
}

// completers are those of the flags that have more to say than that they need a value.
func (p program) completers() map[string]completer {
	all := map[string]completer{
		"incoming": oneOf("true", "false"),
		"states":   completeStates,
		"sort":     completeSort,
		"columns":  completeColumns,
		"units":    oneOf(string(unitsIEC), string(unitsSI), string(unitsBytes)),
		"colour":   oneOf(string(colourAuto), string(colourAlways), string(colourNever)),
		"netns": func(*cobra.Command, string) []cobra.Completion {
			return append([]string{"all", "self"}, namedNamespaces()...)
		},
		"rpc-bind-ip": oneOf("127.0.0.1", "::1", "0.0.0.0", "::", "none"),
		"bpf":         oneOf(string(bpfAuto), string(bpfOn), string(bpfOff)),
		"cmdline":     oneOf("redacted", "full", "off"),
		"sandbox":     oneOf("auto", "off"),
		"log-level":   oneOf("trace", "debug", "info", "warn", "error"),
		"log-format":  oneOf(string(logAuto), string(logJSON), string(logConsole)),
	}
	for name, of := range liveValues() {
		all[name] = p.completeLive(name, of)
	}
	return all
}

func oneOf(values ...string) completer {
	return func(*cobra.Command, string) []cobra.Completion { return values }
}

// completeList completes the last of several values, separated by commas.
func completeList(complete completer, cmd *cobra.Command, typed string) []cobra.Completion {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	last := typed[len(before):]
	completions := beginning(complete(cmd, last), last)
	for i := range completions {
		completions[i] = before + completions[i]
	}
	return completions
}

// beginning returns those of all that begin with typed.
func beginning(all []cobra.Completion, typed string) []cobra.Completion {
	return slices.DeleteFunc(slices.Clone(all), func(c cobra.Completion) bool { return !strings.HasPrefix(c, typed) })
}

// completeStates follows the case of what is typed.
func completeStates(_ *cobra.Command, typed string) []cobra.Completion {
	states := []string{
		"established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "close_wait", "last_ack", "closing", "before_handshake", "normal", "standby",
	}
	if typed != "" && typed == strings.ToUpper(typed) {
		for i := range states {
			states[i] = strings.ToUpper(states[i])
		}
	}
	return states
}

func completeColumns(cmd *cobra.Command, _ string) []cobra.Completion {
	var names []cobra.Completion
	o := lookOptions{live: cmd.Flags().Lookup("interval") != nil}
	for _, c := range o.availableColumns(isSet(cmd, "listeners")) {
		names = append(names, c.name)
	}
	return names
}

// completeSort offers both orders; the largest first once a - is typed.
func completeSort(cmd *cobra.Command, typed string) []cobra.Completion {
	names := completeColumns(cmd, typed)
	if strings.HasPrefix(typed, "-") {
		for i := range names {
			names[i] = "-" + names[i]
		}
	}
	return names
}

// isSet reports whether a switch is on.
func isSet(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	if f == nil {
		return false
	}
	v, ok := f.Value.(*flagValue)
	return ok && len(v.values) > 0 && v.values[0] != "false" && v.values[0] != "0"
}
