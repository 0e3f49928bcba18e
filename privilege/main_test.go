//go:build linux

package privilege

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// childEnv names, in the environment of a child, what it is to do in place of the tests: what a process gives up it cannot
// get back, so each test has a process of its own.
const childEnv = "PRIVILEGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		report, err := children()[name]()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// children are what a child can do: each reports what it found.
func children() map[string]func() (any, error) {
	return map[string]func() (any, error){
		"keep": keepChild, "become": becomeChild, "undumpable": undumpableChild,
		"files": filesChild, "calls": callsChild,
	}
}

// child runs one of children in a process of its own and reads its report.
func child(t *testing.T, name string, report any, environ ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(append(os.Environ(), childEnv+"="+name), environ...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := json.Unmarshal(out, report); err != nil {
		t.Fatalf("%s: %q: %v", name, out, err)
	}
}

// needsRoot skips a test that takes more than an ordinary user may.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("an ordinary user has no capabilities to give up and cannot become another: run as root")
	}
}
