//go:build linux

package churn_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/connectionsd/connectionsd/test/churn"
	"github.com/connectionsd/connectionsd/test/netnstest"
)

func TestMain(m *testing.M) {
	if churn.IsHolder() {
		if err := churn.Hold(); err != nil {
			fmt.Fprintln(os.Stderr, "churn:", err)
			os.Exit(1)
		}
		return
	}
	netnstest.Main(m, func() { os.RemoveAll(binaries) })
}
