//go:build linux

package collector_test

import (
	"testing"

	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }
