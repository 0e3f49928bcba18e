package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"unicode"
)

// problem says in a sentence why an engine cannot be asked, and what would
// help.
func (e *engine) problem(err error) string {
	return fmt.Sprintf("%s at %s: %s", e.name, e.host, e.explain(err))
}

func (e *engine) explain(err error) string {
	var status *statusError
	var network *net.OpError
	var file *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such socket: start the engine, or name the socket that it listens on"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied: run as root or add the user to the group of the socket"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nobody listens at the socket; start the engine"
	case errors.Is(err, syscall.EAGAIN): // so many wait to be accepted that there is no more room
		return "it accepts no connections: it hangs; restart it"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v: it hangs; restart it", e.limits.call)
	case errors.Is(err, errTooLong):
		return fmt.Sprintf("its answer is longer than %d MiB: see what it lists with %s ps", e.limits.answer>>20, e.name)
	case errors.Is(err, errEnded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it ended the connection: see whether it is being restarted"
	case errors.As(err, &status):
		return plain(err.Error()) + ": it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"
	case errors.As(err, &network), errors.As(err, &file):
		return "it cannot be reached (" + plain(err.Error()) + "): name the socket that it listens on"
	default:
		return "its answer is not understood (" + plain(err.Error()) + "): see that this is the socket of Docker or Podman, and that it speaks version 1.40 of the API or a later one"
	}
}

// maxText bounds what an engine can put into a sentence, in bytes.
const maxText = 200

// plain makes a text of an engine fit for one line.
func plain(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
}
