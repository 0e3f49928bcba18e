//go:build linux && interop

package interop_test

import (
	"fmt"
	"testing"
	"time"
)

// testChanges holds the daemon to its promise to know of what happens to
// containers within a second.
func testChanges(t *testing.T, c *client, docker *dockerd) {
	const port = 7002
	slowest := make(map[string]time.Duration)
	within := func(change string, done func() string) {
		t.Helper()
		began := time.Now()
		waitingFor := ""
		for time.Since(began) < time.Second {
			if waitingFor = done(); waitingFor == "" && time.Since(began) < time.Second {
				slowest[change] = max(slowest[change], time.Since(began))
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("%s: a second later %s", change, waitingFor)
	}
	// shows reports whether the two listeners on the port, the container's and
	// docker-proxy's, are of a container of that name and id.
	shows := func(name, id string) func() string {
		return func() string {
			all := c.sockets(t).at(port)
			for _, l := range all {
				if l.ContainerName != name || l.ServiceLabel != name || l.Socket.ContainerName != name || l.Socket.ContainerID != id {
					return fmt.Sprintf("want %s %s, got %+v", name, id, l)
				}
			}
			if len(all) != 2 {
				return fmt.Sprintf("want two listeners, got %+v", all)
			}
			return ""
		}
	}
	gone := func() string {
		if all := c.sockets(t).at(port); len(all) > 0 {
			return fmt.Sprintf("there is %+v", all)
		}
		return ""
	}
	run := func() string {
		return docker.docker(t, "run", "--detach", "--name", "first", "--publish", fmt.Sprintf("127.0.0.1:%d:%d", port, port),
			"standin", "/bin/redis-server", fmt.Sprintf("0.0.0.0:%d", port))
	}
	for range 2 {
		id := run()
		within("start", shows("first", id))
		docker.docker(t, "rename", "first", "second")
		within("rename", shows("second", id))
		docker.docker(t, "stop", "-t", "0", "second")
		within("stop", gone)
		docker.docker(t, "start", "second")
		within("start again", shows("second", id))
		docker.docker(t, "pause", "second")
		within("pause", shows("second", id))
		docker.docker(t, "unpause", "second")
		within("unpause", shows("second", id))
		// The name is another's as soon as the first has given it up.
		docker.docker(t, "rename", "second", "third")
		again := docker.docker(t, "run", "--detach", "--name", "second", "standin", "/bin/postgres", fmt.Sprintf("0.0.0.0:%d", port+1))
		within("swap", func() string {
			if waitingFor := shows("third", id)(); waitingFor != "" {
				return waitingFor
			}
			l := c.sockets(t).at(port + 1)
			if len(l) != 1 || l[0].ContainerName != "second" || l[0].Socket.ContainerID != again {
				return fmt.Sprintf("want second %s, got %+v", again, l)
			}
			return ""
		})
		docker.docker(t, "rm", "--force", "second", "third")
		within("removal", gone)
	}
	t.Logf("slowest: %v", slowest)
}
