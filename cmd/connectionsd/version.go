package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3". Nothing else writes it.
var version string

func newVersionCommand(p program) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the commit and the Go release that this program was built from",
		Long:    "version prints one line that fits into a bug report.",
		Example: "  connectionsd version",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			if _, err := fmt.Fprintf(p.stdout, "connectionsd %s\n", readBuild(version, info)); err != nil {
				return fmt.Errorf("print version: %w", err)
			}
			return nil
		},
	}
}

// build says what this program was built from.
type build struct {
	version   string // "dev" when nobody named one
	commit    string // revision of the checkout, with "+changes" when it had uncommitted ones; "unknown" when not recorded
	goVersion string // as in runtime.Version
}

// readBuild joins the version that the linker set ("" for none) with what the Go tool recorded (nil for nothing).
func readBuild(linked string, info *debug.BuildInfo) build {
	b := build{version: linked, commit: "unknown", goVersion: runtime.Version()}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	if b.version == "" && info.Main.Version != "(devel)" {
		b.version = info.Main.Version
	}
	if b.version == "" {
		b.version = "dev"
	}
	changes := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changes = "+changes"
			}
		}
	}
	b.commit += changes
	return b
}

// String returns one line that fits into a bug report.
func (b build) String() string {
	return fmt.Sprintf("%s (commit %s, %s, %s/%s)", b.version, b.commit, b.goVersion, runtime.GOOS, runtime.GOARCH)
}
