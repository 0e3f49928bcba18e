//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/rs/zerolog"
)

// serve only says why it cannot: elsewhere than on Linux there is no sock_diag to ask.
func serve(context.Context, Config, zerolog.Logger, io.Writer) error {
	return fmt.Errorf("connectionsd needs Linux, whose kernel it asks for the sockets; this is %s", runtime.GOOS)
}
