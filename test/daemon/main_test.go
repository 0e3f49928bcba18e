//go:build linux

// Package daemon_test runs the whole program as a person would, against real
// sockets in a network namespace of its own.
package daemon_test

import (
	"os"
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m, func() { os.RemoveAll(binaries) }) }
