// Command connectionsd tells which TCP connections this host has, as Monero's get_connections and as GET /api/connections.
//
// This package holds the command line, the configuration and the wiring, and nothing that another package could hold. It
// may import every package of the project; none imports it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; from then on a second one kills, should that end hang.
	context.AfterFunc(ctx, stop)
	args := hideSecrets(os.Args[1:])
	os.Exit(program{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), serve: serve, hangups: hangups}.run(ctx, args))
}

// hangups returns the SIGHUPs that come from now on: those that nobody waits for are one. It is not taken back, or one that
// comes while the process ends would make it end otherwise.
func hangups() <-chan os.Signal {
	all := make(chan os.Signal, 1)
	signal.Notify(all, syscall.SIGHUP)
	return all
}
