//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

// printConnections only says why it cannot: elsewhere than on Linux there is no sock_diag to ask.
func printConnections(context.Context, listOptions, io.Writer, io.Writer) error {
	return fmt.Errorf("connectionsd needs Linux, whose kernel it asks for the sockets; this is %s", runtime.GOOS)
}
