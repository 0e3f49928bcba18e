//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

// openHost only says why it cannot: elsewhere than on Linux there is no sock_diag to ask.
func openHost(context.Context, *lookOptions, io.Writer) (source, error) {
	return nil, fmt.Errorf("connectionsd needs Linux, whose kernel it asks for the sockets; this is %s: want --rpc-address", runtime.GOOS)
}
