package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

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
	const files = 1024
	const most = files - otherDescriptors
	var degraded degradations // one, as when the limits are set again
	for _, wanted := range []int{1, most, most + 1, most + 1, most} {
		var log bytes.Buffer
		cfg := Config{RPCMaxConnections: wanted, RPCMaxConnectionsPerPublicIP: 7, RPCMaxConnectionsPerPrivateIP: 8}
		got := connectionLimits(cfg, files, &degraded, zerolog.New(&log))
		if diff := cmp.Diff(rpc.ConnectionLimits{All: min(wanted, most), PerPublicIP: 7, PerPrivateIP: 8}, got); diff != "" {
			t.Errorf("%d wanted (-want +got):\n%s", wanted, diff)
		}
		if wanted <= most {
			if log.Len() > 0 || len(degraded.found) > 0 {
				t.Errorf("%d wanted: log %s, degraded %v", wanted, log.String(), degraded.found)
			}
			continue
		}
		reason := fmt.Sprintf("at most %d connections, since the limit of open files is %d: raise it to %d", most, files, files+1)
		if diff := cmp.Diff([]rpc.Degradation{{Feature: "connections", Reason: reason}}, degraded.found); diff != "" {
			t.Errorf("degraded (-want +got):\n%s", diff)
		}
		var event map[string]any
		if err := json.Unmarshal(log.Bytes(), &event); err != nil {
			t.Fatalf("log %q: %v", log.String(), err)
		}
		want := map[string]any{
			"level": "warn", "feature": "connections", "open_files": float64(files), "wanted": float64(wanted), "connections": float64(most),
			"message": "there are fewer connections than --rpc-max-connections allows: want a higher limit of open files (LimitNOFILE=, ulimit -Hn)",
		}
		if diff := cmp.Diff(want, event); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}
}
