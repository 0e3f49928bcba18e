package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test -count=1 -run ^TestManPages$ . -args -write-man

// manPages is where the pages are kept. They are made by this test, so that the daemon is not linked with what makes them.
const manPages = "../../packaging/man"

var writeMan = flag.Bool("write-man", false, "write the manual pages")

// manPage returns the page of a command in roff: what its help says, from the same source. There is no date in it, so that it
// is the same whenever it is made.
func manPage(root, cmd *cobra.Command) []byte {
	var page strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	line(`%% "%s" "1" "" "connectionsd" "User Commands"`, strings.ToUpper(manName(cmd)))
	line("# NAME\n%s - %s\n", manName(cmd), cmd.Short)
	line("# SYNOPSIS")
	switch {
	case cmd.HasAvailableSubCommands():
		line("**%s** *COMMAND*\n", cmd.CommandPath())
	default:
		line("**%s**%s\n", cmd.CommandPath(), inMarkdown(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())))
	}
	if cmd.Long != "" {
		line("# DESCRIPTION\n%s\n", inMarkdown(cmd.Long))
	}
	if cmd.HasAvailableSubCommands() {
		line("# COMMANDS")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				line("**%s**(1)\n: %s\n", manName(c), inMarkdown(c.Short))
			}
		}
	}
	line("# OPTIONS")
	for _, group := range flagGroups(cmd) {
		if group.heading != "Flags" {
			line("## %s", group.heading)
		}
		group.flags.VisitAll(func(f *pflag.Flag) { line("%s\n", manFlag(f)) })
	}
	if cmd.HasExample() {
		line("# EXAMPLES\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	line("# EXIT STATUS")
	line("**0**\n: done, or ended by SIGINT or SIGTERM\n")
	line("**1**\n: what was asked for could not be done\n")
	line("**2**\n: the command line, the environment or the configuration file is wrong\n")
	line("# SEE ALSO")
	var others []string
	for c := range allCommands(root) {
		if c != cmd {
			others = append(others, "**"+manName(c)+"**(1)")
		}
	}
	line("%s", strings.Join(others, ", "))
	return md2man.Render([]byte(page.String()))
}

// manFlag is the entry of a flag, in Markdown.
func manFlag(f *pflag.Flag) string {
	var entry strings.Builder
	if f.Shorthand != "" {
		fmt.Fprintf(&entry, "**-%s**, ", f.Shorthand)
	}
	fmt.Fprintf(&entry, "**--%s**", f.Name)
	placeholder, usage := pflag.UnquoteUsage(f)
	if v, isKey := f.Value.(*flagValue); isKey && v.key.kind == toggle {
		placeholder = ""
	}
	if placeholder != "" {
		fmt.Fprintf(&entry, " *%s*", inMarkdown(placeholder))
	}
	fmt.Fprintf(&entry, "\n: %s", inMarkdown(usage))
	if v := f.DefValue; v != "" && v != "false" && v != "[]" {
		fmt.Fprintf(&entry, " (default %s)", inMarkdown(v))
	}
	return entry.String()
}

// manName is what the page of a command is called.
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// inMarkdown is a text that stands for itself.
func inMarkdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, "`", "\\`").Replace(s)
}

// The manual pages that are kept are those of the commands as they are.
func TestManPages(t *testing.T) {
	root := newRootCommand(program{})
	want := make(map[string]string)
	for cmd := range allCommands(root) {
		want[manName(cmd)+".1"] = string(manPage(root, cmd))
	}
	if *writeMan {
		if err := os.RemoveAll(manPages); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(manPages, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, page := range want {
			writeFile(t, filepath.Join(manPages, name), page, 0o644)
		}
	}
	files, err := filepath.Glob(filepath.Join(manPages, "*"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, path := range files {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(path)] = string(page)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packaging/man (-want +got); make man writes it:\n%s", diff)
	}
}

// man(1) finds nothing wrong with the pages, and shows each flag and each example.
func TestManPagesAreShown(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not there: install the package groff-base")
	}
	root := newRootCommand(program{})
	for cmd := range allCommands(root) {
		command := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-P-cbou", "-ww", "-Kutf8", "-rLL=200n")
		command.Stdin = strings.NewReader(string(manPage(root, cmd)))
		var wrong strings.Builder
		command.Stderr = &wrong
		shown, err := command.Output()
		if err != nil || wrong.Len() > 0 {
			t.Errorf("%s: %v: %s", manName(cmd), err, wrong.String())
		}
		// groff has typographic hyphens and quotes of its own.
		text := strings.NewReplacer("‐", "-", "−", "-", "’", "'", "‘", "'").Replace(string(shown))
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if n := strings.Count(text, "\n       --"+f.Name+"\n") + strings.Count(text, "\n       --"+f.Name+" ") +
				strings.Count(text, "\n       -"+f.Shorthand+", --"+f.Name); n != 1 && !f.Hidden {
				t.Errorf("%s shows --%s %d times, want once", manName(cmd), f.Name, n)
			}
		})
		for example := range strings.Lines(cmd.Example) {
			if !strings.Contains(text, strings.TrimSpace(example)) {
				t.Errorf("%s does not show the example %s", manName(cmd), example)
			}
		}
	}
}
