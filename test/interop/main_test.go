//go:build linux && interop

// Package interop_test holds the daemon against real peers: monerod, whose
// answers it has to give, the clients that people read a Monero node with, and
// the container engines and servers whose sockets it shows. The peers come from
// the script setup; `make interop` runs it first.
//
// Everything happens in a network namespace of its own, in which the hosts of
// the tests are addresses of the loopback interface.
package interop_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) {
	netnstest.Main(m, func() {
		if err := os.RemoveAll(binaries); err != nil {
			fmt.Fprintln(os.Stderr, "remove the daemon that was built:", err)
		}
	})
}
