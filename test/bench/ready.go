//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// readyCommand is the first argument of a process that has its answer ready: a
// server of Go's net/http that answers every request with so many bytes which it
// has already. It is the floor under a daemon that is built on it, without records,
// without a question read and, but for walkPath, without a dump.
const readyCommand = "ready"

// walkPath is asked for where the process is to walk the kernel's tables first,
// for a state that no socket is in.
const walkPath = "/walk"

// serveAlone starts this program with a command that serves answers of so many
// bytes, and returns the address which it says.
func serveAlone(ctx context.Context, command string, size int) (p *process, address string, err error) {
	stdout := new(measuring.Tail)
	p, err = start(ctx, stdout, "/proc/self/exe", command, strconv.Itoa(size))
	if err != nil {
		return nil, "", err
	}
	err = p.await(ctx, func() error {
		line, _, whole := bytes.Cut([]byte(stdout.String()), []byte("\n"))
		if !whole {
			return fmt.Errorf("it has not said where it listens")
		}
		address = string(line)
		return nil
	})
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return p, address, nil
}

// answerSize returns the argument of a command, how many bytes it answers with.
func answerSize(command string, args []string) (int, error) {
	if len(args) != 1 {
		return 0, fmt.Errorf("%s has %d arguments, want 1", command, len(args))
	}
	return strconv.Atoi(args[0])
}

// ready is the process whose argument is how many bytes it answers with.
func ready(ctx context.Context, args []string) error {
	size, err := answerSize(readyCommand, args)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	none, err := dialBareOf(1 << closing)
	if err != nil {
		return err
	}
	defer none.close()
	var walking sync.Mutex
	answer := bytes.Repeat([]byte{' '}, size)
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the connection stays
		if r.URL.Path == walkPath {
			walking.Lock()
			defer walking.Unlock()
			if err := none.dump(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(answer)
	})}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintln(os.Stdout, listener.Addr())
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}
