//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"
)

// serve only says why it cannot: elsewhere than on Linux there is no sock_diag to ask.
func serve(context.Context, order) error {
	return fmt.Errorf("connectionsd needs Linux, whose kernel it asks for the sockets; this is %s", runtime.GOOS)
}
