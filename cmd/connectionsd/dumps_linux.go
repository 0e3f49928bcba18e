package main

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// repeatAfter is how long the log is silent of dumps that fail now and then.
const repeatAfter = time.Minute

// dumpHealth says of dumps that fail why they do: in the log once, and in /readyz and the metrics for as long as they fail.
// Four of them a second would fill a disk.
type dumpHealth struct {
	degraded *degradations
	log      zerolog.Logger
	now      func() time.Time

	failing string    // why they do; "": they do not
	said    bool      // that they fail
	at      time.Time // when that was said last
}

// failed is told of each dump of all sockets that has failed, and made of each that has not, from one goroutine.
func (h *dumpHealth) failed(err error) {
	reason := err.Error()
	if advice := adviceOn(err); advice != "" {
		reason += ": " + advice
	}
	if reason != h.failing {
		h.failing = reason
		h.degraded.set("dumps", reason)
	}
	if now := h.now(); !h.said && (h.at.IsZero() || now.Sub(h.at) >= repeatAfter) {
		h.said, h.at = true, now
		h.log.Error().Str("error", reason).Msg("sample failed")
	}
}

func (h *dumpHealth) made() {
	if h.failing == "" {
		return
	}
	h.failing = ""
	h.degraded.set("dumps", "")
	if h.said {
		h.said = false
		h.log.Info().Msg("samples are made again")
	}
}

// adviceOn returns what would help against an error of a dump, "" if that is not known.
func adviceOn(err error) string {
	var path *fs.PathError
	switch {
	case errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.ENOENT) && !errors.As(err, &path):
		return "the kernel has no sock_diag for TCP: want CONFIG_INET_DIAG and CONFIG_INET_TCP_DIAG, or modprobe tcp_diag"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "want a higher limit of open files (LimitNOFILE=, ulimit -Hn) or a lower --rpc-max-connections"
	default:
		return ""
	}
}
