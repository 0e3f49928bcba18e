package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
)

func newConfigShowCommand(p program) *cobra.Command {
	var asJSON, changed bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print each setting, and where its value comes from",
		Long:  "show prints the settings that serve would go by, and where each value comes from. Secrets are [redacted].",
		Example: "  connectionsd config show\n" +
			"  connectionsd config show --changed --config-file /etc/connectionsd/connectionsd.conf\n" +
			"  connectionsd config show --json | jq -r '.settings[] | select(.origin != \"default\").key'",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, all, errs := examine(cmd.Flags(), p.environ, os.Open)
			if len(errs) > 0 {
				return &usageError{errors.Join(errs...)}
			}
			settings := shownSettings(&cfg, all, changed)
			output := settingsTable
			if asJSON {
				output = settingsJSON
			}
			if _, err := p.stdout.Write(output(settings)); err != nil {
				return fmt.Errorf("print the settings: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	addFlags(flags)
	flags.BoolFunc("json", "print JSON instead of a table", storeBool(&asJSON))
	flags.BoolFunc("changed", "leave out what is as by default", storeBool(&changed))
	return cmd
}

// storeBool is for flags of a command that are no keys. pflag's own do not say what would be right.
func storeBool(b *bool) func(string) error {
	return func(s string) (err error) {
		*b, err = parseBool(s)
		return err
	}
}

// shownSetting is a key with its value, and where that comes from.
type shownSetting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`  // as in the configuration file; "" for none
	Origin string `json:"origin"` // default, file, environment or flag
	// Of these the one that Origin speaks of.
	File     string `json:"file,omitempty"`
	Lines    []int  `json:"lines,omitempty"`
	Variable string `json:"variable,omitempty"`
	Flag     string `json:"flag,omitempty"`
}

// shownSettings returns all settings of cfg, or those alone that differ from the defaults, in the order of the help.
func shownSettings(cfg *Config, all *koanf.Koanf, changed bool) []shownSetting {
	byDefault, _, _ := load([]koanf.Provider{configFile{}})
	shown := []shownSetting{}
	for _, k := range keys() {
		if !changed || isWritten(all, k) && !k.same(cfg, &byDefault) {
			shown = append(shown, show(k, written(all, k.name), cfg.ConfigFile))
		}
	}
	return shown
}

// isWritten keeps apart the login and the key that is one way to set it.
func isWritten(all *koanf.Koanf, k key) bool { return written(all, k.name) != nil }

// show returns what k is set to by settings, nil for its default.
func show(k key, settings []setting, configFile string) shownSetting {
	if settings == nil {
		return shownSetting{Key: k.name, Value: k.byDefault, Origin: "default"}
	}
	s := shownSetting{Key: k.name}
	var values []string
	for _, setting := range settings {
		values = append(values, setting.Value)
		switch origin := setting.Origin; origin {
		case "--" + k.name:
			s.Origin, s.Flag = "flag", origin
		case k.variable():
			s.Origin, s.Variable = "environment", origin
		default:
			s.Origin, s.File = "file", configFile
			line := strings.TrimSuffix(strings.TrimPrefix(origin, configFile+":"), " "+k.name)
			if number, err := strconv.Atoi(line); err == nil {
				s.Lines = append(s.Lines, number)
			}
		}
	}
	s.Value = strings.Join(slices.DeleteFunc(values, func(value string) bool { return value == "" }), ",")
	if k.visibility == secret {
		s.Value = "[redacted]"
	}
	return s
}

// from says where the value comes from.
func (s shownSetting) from() string {
	switch s.Origin {
	case "file":
		lines := make([]string, 0, len(s.Lines))
		for _, number := range s.Lines {
			lines = append(lines, strconv.Itoa(number))
		}
		name := "line"
		if len(lines) > 1 {
			name = "lines"
		}
		return fmt.Sprintf("file %s %s %s", s.File, name, strings.Join(lines, ", "))
	case "environment":
		return "environment " + s.Variable
	case "flag":
		return "flag " + s.Flag
	}
	return s.Origin
}

func settingsTable(settings []shownSetting) []byte {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tORIGIN")
	for _, s := range settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, shownValue(s.Value), printable(s.from()))
	}
	_ = w.Flush() // into memory
	return table.Bytes()
}

// shownValue is a value in a table.
func shownValue(value string) string {
	if value == "" {
		return "-"
	}
	return printable(value)
}

// printable quotes what a terminal would not show as it is.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func settingsJSON(settings []shownSetting) []byte {
	var output bytes.Buffer
	encoder := json.NewEncoder(&output)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(map[string]any{"settings": settings}) // of strings and numbers, into memory
	return output.Bytes()
}
