//go:build linux

package main

import (
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

// In a network namespace of their own the tests know every socket that there is.
func TestMain(m *testing.M) { netnstest.Main(m) }
