package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how many characters the lines about flags have at the most, but for words that are longer.
const helpWidth = 120

// flagGroup is flags that stand together in a help text.
type flagGroup struct {
	heading string
	flags   *pflag.FlagSet
}

// flagGroups returns the flags of cmd: those that are called as keys are by their sections, before them all others.
func flagGroups(cmd *cobra.Command) []flagGroup {
	of := make(map[string]string) // the heading of each key's flag
	groups := []flagGroup{{heading: "Flags", flags: newFlagGroup()}}
	for _, s := range sections() {
		groups = append(groups, flagGroup{s.heading, newFlagGroup()})
		for _, k := range s.keys {
			of[k.name] = s.heading
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		heading, ok := of[f.Name]
		if !ok {
			heading = "Flags"
		}
		for _, group := range groups {
			if group.heading == heading {
				group.flags.AddFlag(f)
			}
		}
	})
	var used []flagGroup
	for _, group := range groups {
		if group.flags.HasFlags() {
			used = append(used, group)
		}
	}
	return used
}

func newFlagGroup() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SortFlags = false
	return flags
}

// usageByGroups prints what --help does after the description of a command: how it is called, examples, its commands, and its
// flags by their groups. cobra has one list of flags.
func usageByGroups(cmd *cobra.Command) error {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("Usage:")
	if cmd.HasAvailableSubCommands() {
		line("  %s COMMAND", cmd.CommandPath())
	} else {
		line("  %s", cmd.UseLine())
	}
	if cmd.HasExample() {
		line("\nExamples:\n%s", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		line("\nCommands:")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				line("  %-*s  %s", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	for _, group := range flagGroups(cmd) {
		line("\n%s:\n%s", group.heading, strings.TrimRight(group.flags.FlagUsagesWrapped(helpWidth), "\n"))
	}
	if cmd.HasAvailableSubCommands() {
		line("\n%s COMMAND --help tells more of a command.", cmd.CommandPath())
	}
	_, err := cmd.OutOrStderr().Write([]byte(text.String()))
	return err
}
