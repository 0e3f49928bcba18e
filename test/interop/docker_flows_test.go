//go:build linux && interop

package interop_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testFlows(t *testing.T, c *client, docker *dockerd, running containers) {
	bridge, _, _ := strings.Cut(dockerNetwork, "/")
	self, hostLink := netNS(t, os.Getpid())

	listeners := c.sockets(t)
	pid := map[string]int{
		"cache": listeners.only(t, cachePort).PID, "db": listeners.only(t, dbPort).PID, "web": listeners.only(t, running.webPort).PID,
	}
	id := map[string]string{"cache": running.cache, "db": running.db, "web": running.web}
	process := map[string]string{"cache": "redis-server", "db": "postgres", "web": "node"}

	// The test's end of a connection with a container is the host's; the other is
	// the container's own, but for a published port.
	for _, test := range []struct{ name, address, container string }{
		{"directly to a published one", join(running.cacheIP, cachePort), "cache"},
		{"directly", join(running.dbIP, dbPort), "db"},
		{"on the network of the host", join("127.0.0.1", running.webPort), "web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := connect(t, test.address)
			ours, theirs := c.ends(t, conn)
			if want := flowOf(t, conn, test.container, self); !cmp.Equal(want, ours) {
				t.Errorf("the test's end (-want +got):\n%s", cmp.Diff(want, ours))
			}
			owner := pid[test.container]
			inode, link := netNS(t, owner)
			if link == hostLink {
				link = ""
			}
			theirs.ToLabel = "" // the port that the test was given may have a name
			want := flow{
				FromPID: owner, FromProcessName: process[test.container], FromAddress: ours.ToAddress, FromPort: ours.ToPort,
				ToAddress: ours.FromAddress, ToPort: ours.FromPort, NetNS: link,
				Socket: socket{
					ContainerID: id[test.container], ContainerName: test.container, ContainerRuntime: "docker",
					NetNS: inode, PID: owner, ProcessName: process[test.container],
				},
			}
			if diff := cmp.Diff(want, theirs); diff != "" {
				t.Errorf("the container's end (-want +got):\n%s", diff)
			}
			checkRecord(t, c, ours, false)
			checkRecord(t, c, theirs, true)
		})
	}

	t.Run("through a published port", func(t *testing.T) {
		conn := connect(t, join("127.0.0.1", running.published))
		ours, proxy := c.ends(t, conn)
		if want := flowOf(t, conn, "cache", self); !cmp.Equal(want, ours) {
			t.Errorf("the test's end (-want +got):\n%s", cmp.Diff(want, ours))
		}
		forwarder := socket{
			ContainerID: running.cache, ContainerName: "cache", ContainerRuntime: "docker",
			NetNS: self, PID: proxy.FromPID, ProcessName: "docker-proxy",
		}
		proxy.ToLabel = ""
		want := flow{
			FromPID: proxy.FromPID, FromProcessName: "docker-proxy", FromAddress: "127.0.0.1", FromPort: running.published,
			ToAddress: ours.FromAddress, ToPort: ours.FromPort, Socket: forwarder,
		}
		if diff := cmp.Diff(want, proxy); diff != "" {
			t.Errorf("docker-proxy's end (-want +got):\n%s", diff)
		}
		checkRecord(t, c, ours, false)
		checkRecord(t, c, proxy, true)

		// docker-proxy's own connection with the container.
		var onward []flow
		eventually(t, 5*time.Second, func() (bool, string) {
			onward = nil
			for _, f := range c.sockets(t).Connections {
				if f.FromPID == proxy.FromPID && f.ToAddress == running.cacheIP {
					onward = append(onward, f)
				}
			}
			return len(onward) == 1 && onward[0].ToLabel != "", fmt.Sprintf("one connection from docker-proxy to the container: %+v", onward)
		})
		wantOnward := flow{
			FromPID: proxy.FromPID, FromProcessName: "docker-proxy", FromAddress: bridge, FromPort: onward[0].FromPort,
			ToAddress: running.cacheIP, ToPort: cachePort, ToLabel: "cache", Socket: forwarder,
		}
		if diff := cmp.Diff(wantOnward, onward[0]); diff != "" {
			t.Errorf("docker-proxy's connection with the container (-want +got):\n%s", diff)
		}
		checkRecord(t, c, onward[0], false)
	})

	// Here the kernel rewrites the addresses, and no docker-proxy is involved.
	t.Run("by the address of the bridge", func(t *testing.T) {
		conn := connect(t, join(bridge, running.published))
		ours := c.sockets(t).of(t, conn)
		if want := flowOf(t, conn, "cache", self); !cmp.Equal(want, ours) {
			t.Errorf("the test's end (-want +got):\n%s", cmp.Diff(want, ours))
		}
		checkRecord(t, c, ours, false)
	})

	// Containers have their ports to themselves.
	t.Run("two with the same port", func(t *testing.T) {
		docker.docker(t, "run", "--detach", "--name", "twin", "standin", "/bin/redis-server", fmt.Sprintf("0.0.0.0:%d", cachePort))
		defer docker.docker(t, "rm", "--force", "twin")
		address := join(docker.address(t, "twin"), cachePort)
		waitListens(t, address)
		one, other := connect(t, join(running.cacheIP, cachePort)), connect(t, address)
		eventually(t, 5*time.Second, func() (bool, string) {
			answer := c.sockets(t)
			got := []string{answer.of(t, one).ToLabel, answer.of(t, other).ToLabel}
			return slices.Equal(got, []string{"cache", "twin"}), fmt.Sprintf("labels %q, want cache and twin", got)
		})
	})

	t.Run("between containers", func(t *testing.T) {
		id := docker.docker(t, "run", "--detach", "--name", "worker", "standin", "/bin/client", "to", join(running.dbIP, dbPort))
		defer docker.docker(t, "rm", "--force", "worker")
		address := docker.address(t, "worker")
		var found []flow
		eventually(t, 10*time.Second, func() (bool, string) {
			found = nil
			for _, f := range c.sockets(t).Connections {
				if f.FromAddress == address && f.ToLabel != "" && f.Socket.ContainerName != "" {
					found = append(found, f)
				}
			}
			return len(found) == 1, fmt.Sprintf("the connection of %s", address)
		})
		owner := found[0].FromPID
		inode, link := netNS(t, owner)
		want := flow{
			FromPID: owner, FromProcessName: "client", FromAddress: address, FromPort: found[0].FromPort,
			ToAddress: running.dbIP, ToPort: dbPort, ToLabel: "db", NetNS: link,
			Socket: socket{ContainerID: id, ContainerName: "worker", ContainerRuntime: "docker", NetNS: inode, PID: owner, ProcessName: "client"},
		}
		if diff := cmp.Diff(want, found[0]); diff != "" {
			t.Errorf("the client's end (-want +got):\n%s", diff)
		}
		checkComm(t, owner, "client")
		checkRecord(t, c, found[0], false)
	})
}

// flowOf is the flow of the test's end of a connection with what has that label.
func flowOf(t *testing.T, conn net.Conn, label string, netns uint32) flow {
	t.Helper()
	from, to := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
	return flow{
		FromPID: os.Getpid(), FromProcessName: ownName(t), FromAddress: from.IP.String(), FromPort: from.Port,
		ToAddress: to.IP.String(), ToPort: to.Port, ToLabel: label,
		Socket: socket{NetNS: netns, PID: os.Getpid(), ProcessName: ownName(t)},
	}
}

// checkRecord checks that get_connections tells of a flow what GET
// /api/connections tells.
func checkRecord(t *testing.T, c *client, f flow, incoming bool) {
	t.Helper()
	r, s := recordOf(t, c, join(f.FromAddress, f.FromPort), join(f.ToAddress, f.ToPort))
	if diff := cmp.Diff(f.Socket, s); diff != "" {
		t.Errorf("socket of %s, in GET /api/connections and (+) in get_connections:\n%s", r["address"], diff)
	}
	if r["incoming"] != incoming {
		t.Errorf("record of %s: incoming %v, want %v", r["address"], r["incoming"], incoming)
	}
}
