//go:build linux

// Package daemon_test runs the whole program as a person would, against real
// sockets in a network namespace of its own.
package daemon_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) {
	if os.Getenv(serviceEnv) != "" {
		fmt.Fprintln(os.Stderr, becomeService()) // which does not return unless it fails
		os.Exit(1)
	}
	netnstest.Main(m, func() { os.RemoveAll(binaries) })
}
