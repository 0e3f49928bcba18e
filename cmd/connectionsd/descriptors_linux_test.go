package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/rpc"
)

func TestConnectionsWithin(t *testing.T) {
	for files, want := range map[uint64]uint64{0: 1, 1: 1, 64: 32, 512: 256, 1024: 768, 1 << 20: 1<<20 - 256, 1<<64 - 1: 1<<64 - 257} {
		if got := connectionsWithin(files); got != want {
			t.Errorf("within %d files: %d connections, want %d", files, got, want)
		}
	}
}

// Where the limit of open files is too low for the connections that are wanted, there are fewer, and that is said once.
func TestConnectionLimits(t *testing.T) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if files.Cur < 1024 || files.Cur > 1<<30 {
		t.Skipf("this process may open %d files: want 1024 to 2^30 of them to see a limit that is too high", files.Cur)
	}
	most := int(files.Cur) - otherDescriptors
	for _, wanted := range []int{1, most, most + 1} {
		var log bytes.Buffer
		var degraded degradations
		got, err := connectionLimits(Config{RPCMaxConnections: wanted, RPCMaxConnectionsPerPublicIP: 7, RPCMaxConnectionsPerPrivateIP: 8}, &degraded, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rpc.ConnectionLimits{All: min(wanted, most), PerPublicIP: 7, PerPrivateIP: 8}, got); diff != "" {
			t.Errorf("%d wanted (-want +got):\n%s", wanted, diff)
		}
		if wanted <= most {
			if log.Len() > 0 || len(degraded.found) > 0 {
				t.Errorf("%d wanted: log %s, degraded %v", wanted, log.String(), degraded.found)
			}
			continue
		}
		reason := fmt.Sprintf("at most %d connections, since the limit of open files is %d: raise it to %d", most, files.Cur, files.Cur+1)
		if diff := cmp.Diff([]rpc.Degradation{{Feature: "connections", Reason: reason}}, degraded.found); diff != "" {
			t.Errorf("degraded (-want +got):\n%s", diff)
		}
		var event map[string]any
		if err := json.Unmarshal(log.Bytes(), &event); err != nil {
			t.Fatalf("log %q: %v", log.String(), err)
		}
		want := map[string]any{
			"level": "warn", "feature": "connections", "open_files": float64(files.Cur), "wanted": float64(wanted), "connections": float64(most),
			"message": "there are fewer connections than --rpc-max-connections allows: want a higher limit of open files (LimitNOFILE=, ulimit -Hn)",
		}
		if diff := cmp.Diff(want, event); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}
}
