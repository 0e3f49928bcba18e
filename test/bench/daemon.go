//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// daemon is a running connectionsd.
type daemon struct {
	*process
	*client
	address string // of its HTTP server
}

// serve starts the daemon with these flags and connects to it.
func serve(ctx context.Context, path string, flags ...string) (*daemon, error) {
	return serveWith(ctx, nil, path, flags...)
}

// serveWith starts it with more in its environment.
func serveWith(ctx context.Context, env []string, path string, flags ...string) (*daemon, error) {
	stdout := new(measuring.Tail)
	p, err := startWith(ctx, stdout, env, path, append([]string{
		"serve", "--rpc-bind-port", "0", "--rate-limit", "0", "--netns", "self", "--container-api", "none", "--log-level", "warn",
	}, flags...)...)
	if err != nil {
		return nil, err
	}
	d := &daemon{process: p}
	err = p.await(ctx, func() (err error) {
		// It prints a command line to copy, once it answers.
		_, url, _ := bytes.Cut([]byte(stdout.String()), []byte("http://"))
		address, _, whole := bytes.Cut(url, []byte("/"))
		if !whole {
			return fmt.Errorf("it has not said where it listens")
		}
		d.address = string(address)
		if d.client, err = dial(ctx, d.address); err != nil {
			return err
		}
		_, err = d.read(get("/healthz")) // at once: who says nothing for five seconds is cut off
		return err
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return d, nil
}

func (d *daemon) close() {
	d.client.close()
	d.process.stop()
}
