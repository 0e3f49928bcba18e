//go:build linux

package daemon_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// With --pprof the daemon, in its sandbox, tells of its memory and of its time to who comes by the unix socket, and to nobody
// else.
func TestProfiles(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "c.sock")
	d := serve(t, "--bpf", "off", "--unix-socket", socket, "--pprof")
	for path, want := range map[string]string{
		"/debug/pprof/":                     "goroutine",
		"/debug/pprof/goroutine?debug=1":    "goroutine profile: total",
		"/debug/pprof/heap?debug=1":         "heap profile:",
		"/debug/pprof/threadcreate?debug=1": "threadcreate profile:",
		"/debug/pprof/trace?seconds=0.01":   "go 1.",
	} {
		if status, body := getUnix(t, socket, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %.200q, want 200 and %q", path, status, body, want)
		}
	}
	if status, body := getUnix(t, socket, "/debug/pprof/cmdline"); status != http.StatusNotFound || strings.Contains(body, "serve") {
		t.Errorf("the command line: status %d, %q, want 404", status, body)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/cmdline", "/debug/pprof/nothing"} {
		if status, _, body := d.get(path); status != http.StatusNotFound || body != `{"error":"Not found"}` {
			t.Errorf("%s by TCP: status %d, %q, want 404", path, status, body)
		}
	}
	// The runtime's timers are what the sandbox could forbid: then there would be a profile, with nothing in it.
	var done atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		for !done.Load() {
			d.get("/api/connections")
		}
	})
	status, body := getUnix(t, socket, "/debug/pprof/profile?seconds=1")
	done.Store(true)
	work.Wait()
	if status != http.StatusOK {
		t.Fatalf("a profile of the processor: status %d: %s", status, body)
	}
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(profile), "connectionsd/collector") {
		t.Errorf("the collector is not in the profile of a daemon that was asked all the time (%d bytes)", len(profile))
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
}

func TestNoProfiles(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "c.sock")
	serve(t, "--bpf", "off", "--unix-socket", socket)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile"} {
		if status, body := getUnix(t, socket, path); status != http.StatusNotFound {
			t.Errorf("%s without --pprof: status %d, %q, want 404", path, status, body)
		}
	}
	code, says := fails(t, command(t, "serve", "--rpc-bind-port", "0", "--pprof"))
	want := "connectionsd: --pprof: profiles are told on unix sockets alone: want --unix-socket with it\n"
	if code != 2 || !strings.HasSuffix(says, want) {
		t.Errorf("--pprof alone: exit code %d, %q, want 2, %q at the end", code, says, want)
	}
}
