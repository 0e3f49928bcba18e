package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/rpc"
)

// Dumps that fail are told of once, and in /readyz for as long as they fail.
func TestDumpHealth(t *testing.T) {
	const no = "dump: protocol not supported: the kernel has no sock_diag for TCP: want CONFIG_INET_DIAG and CONFIG_INET_TCP_DIAG, or modprobe tcp_diag"
	unsupported := fmt.Errorf("dump: %w", syscall.EPROTONOSUPPORT)
	full := fmt.Errorf("dump: %w", syscall.ENOBUFS)
	const failed, again = `{"level":"error","error":%q,"message":"sample failed"}`, `{"level":"info","message":"samples are made again"}`
	type step struct {
		after time.Duration // since the step before
		err   error
		says  string // in the log
		lacks string // in /readyz
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"never", []step{{0, nil, "", ""}, {time.Hour, nil, "", ""}}},
		{"for ever", []step{
			{0, unsupported, fmt.Sprintf(failed, no), no},
			{time.Second, unsupported, "", no},
			{time.Hour, unsupported, "", no},
		}},
		{"for a time", []step{
			{0, unsupported, fmt.Sprintf(failed, no), no},
			{time.Second, nil, again, ""},
			{repeatAfter, nil, "", ""},
			{0, unsupported, fmt.Sprintf(failed, no), no},
		}},
		{"now and then", []step{
			{0, full, fmt.Sprintf(failed, "dump: no buffer space available"), "dump: no buffer space available"},
			{1, nil, again, ""},
			{1, full, "", "dump: no buffer space available"},
			{1, nil, "", ""},
			{repeatAfter - 4, full, "", "dump: no buffer space available"},
			{1, full, fmt.Sprintf(failed, "dump: no buffer space available"), "dump: no buffer space available"},
		}},
		{"for another reason", []step{
			{0, full, fmt.Sprintf(failed, "dump: no buffer space available"), "dump: no buffer space available"},
			{1, unsupported, "", no},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			now := time.Unix(1, 0)
			degraded := new(degradations)
			h := &dumpHealth{degraded: degraded, log: zerolog.New(&log), now: func() time.Time { return now }}
			for i, s := range test.steps {
				now = now.Add(s.after)
				log.Reset()
				if s.err != nil {
					h.failed(s.err)
				} else {
					h.made()
				}
				if got := strings.TrimSuffix(log.String(), "\n"); got != s.says {
					t.Errorf("step %d: log %s, want %s", i+1, got, s.says)
				}
				var want []rpc.Degradation
				if s.lacks != "" {
					want = []rpc.Degradation{{Feature: "dumps", Reason: s.lacks}}
				}
				if diff := cmp.Diff(want, degraded.list()); diff != "" {
					t.Errorf("step %d: /readyz (-want +got):\n%s", i+1, diff)
				}
			}
		})
	}
}

func TestAdviceOn(t *testing.T) {
	const sockDiag, files = "the kernel has no sock_diag", "want a higher limit of open files"
	for _, test := range []struct {
		err  error
		want string // the beginning
	}{
		{syscall.EPROTONOSUPPORT, sockDiag},
		{fmt.Errorf("dump: %w", syscall.ENOENT), sockDiag},
		{&fs.PathError{Op: "open", Path: "/run/netns/blue", Err: syscall.ENOENT}, ""},
		{syscall.EMFILE, files},
		{syscall.ENFILE, files},
		{errors.New("no idea"), ""},
	} {
		got := adviceOn(test.err)
		if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
