//go:build linux && interop

package interop_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The ports that listen inside of containers. None is what the program there
// listens on as a rule.
const (
	cachePort = 7000
	dbPort    = 7001
)

// containers are three that run in Docker: cache with a published port, db
// without one, web on the network of the host.
type containers struct {
	cache, db, web     string // ids
	cacheIP, dbIP      string
	published, webPort int
}

func startContainers(t *testing.T, d *dockerd) containers {
	t.Helper()
	c := containers{published: freePort(t), webPort: freePort(t)}
	c.cache = d.docker(t, "run", "--detach", "--name", "cache", "--publish", fmt.Sprintf("%d:%d", c.published, cachePort),
		"standin", "/bin/redis-server", fmt.Sprintf("0.0.0.0:%d", cachePort))
	c.db = d.docker(t, "run", "--detach", "--name", "db", "standin", "/bin/postgres", fmt.Sprintf("0.0.0.0:%d", dbPort))
	c.web = d.docker(t, "run", "--detach", "--name", "web", "--network", "host", "standin", "/bin/node", fmt.Sprintf("127.0.0.1:%d", c.webPort))
	c.cacheIP, c.dbIP = d.address(t, "cache"), d.address(t, "db")
	for _, address := range []string{join(c.cacheIP, cachePort), join(c.dbIP, dbPort), join("127.0.0.1", c.webPort), join("127.0.0.1", c.published)} {
		waitListens(t, address)
	}
	return c
}

// address is that of a container on Docker's bridge.
func (d *dockerd) address(t *testing.T, container string) string {
	t.Helper()
	return d.docker(t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", container)
}

// waitListens waits until somebody listens at an address.
func waitListens(t *testing.T, address string) {
	t.Helper()
	eventually(t, 10*time.Second, func() (bool, string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, ""
	})
}

func TestDocker(t *testing.T) {
	docker := startDockerd(t)
	running := startContainers(t, docker)
	c := newClient(t, serve(t, "--netns", "all", "--container-api", docker.url()).url)
	waitNamed(t, c, 5*time.Second, dbPort, "db")
	if problems := c.degraded(t, "containers"); problems != nil {
		t.Errorf("/readyz: %q, want no problem with the containers", problems)
	}

	// Whichever way owners are found.
	for _, bpf := range []string{"on", "off"} {
		t.Run("bpf "+bpf, func(t *testing.T) {
			c := newClient(t, serve(t, "--netns", "all", "--container-api", docker.url(), "--bpf", bpf).url)
			waitNamed(t, c, 5*time.Second, dbPort, "db")
			t.Run("listeners", func(t *testing.T) { testListeners(t, c, running) })
			t.Run("flows", func(t *testing.T) { testFlows(t, c, docker, running) })
		})
	}
	t.Run("without names", func(t *testing.T) { testWithoutNames(t, running) })
	t.Run("permission denied", func(t *testing.T) { testPermissionDenied(t, docker) })
	t.Run("changes", func(t *testing.T) { testChanges(t, c, docker) })
	t.Run("frozen", func(t *testing.T) { testFrozen(t, newWatcher(t, c.url), docker, running) })
	t.Run("killed", func(t *testing.T) { testKilled(t, newWatcher(t, c.url), docker, running) })
}

func testListeners(t *testing.T, c *client, running containers) {
	answer := c.sockets(t)
	inode, host := netNS(t, os.Getpid())

	for _, test := range []struct {
		port int
		id   string
		want listener // without what the kernel tells
	}{
		{cachePort, running.cache, listener{
			ProcessName: "redis-server", ServiceLabel: "cache", ContainerName: "cache", ProcessIconType: "redis",
			Address: "0.0.0.0", AddressDescription: "Listening on all IPv4 interfaces", Port: cachePort,
			Cmd: fmt.Sprintf("/bin/redis-server 0.0.0.0:%d", cachePort),
		}},
		{dbPort, running.db, listener{
			ProcessName: "postgres", ServiceLabel: "db", ContainerName: "db", ProcessIconType: "postgres",
			Address: "0.0.0.0", AddressDescription: "Listening on all IPv4 interfaces", Port: dbPort,
			Cmd: fmt.Sprintf("/bin/postgres 0.0.0.0:%d", dbPort),
		}},
		{running.webPort, running.web, listener{
			ProcessName: "node", ServiceLabel: "web", ContainerName: "web", ProcessIconType: "node",
			Address: "127.0.0.1", AddressDescription: "Localhost only (IPv4)", Port: running.webPort,
			Cmd: fmt.Sprintf("/bin/node 127.0.0.1:%d", running.webPort),
		}},
	} {
		got := answer.only(t, test.port)
		checkComm(t, got.PID, test.want.ProcessName)
		want := test.want
		want.PID = got.PID
		inode, link := netNS(t, got.PID)
		want.Socket = socket{
			ContainerID: test.id, ContainerName: want.ContainerName, ContainerRuntime: "docker",
			NetNS: inode, PID: got.PID, ProcessName: want.ProcessName,
		}
		if link != host {
			want.NetNS = link
		}
		if want.NetNS == "" != (test.id == running.web) {
			t.Errorf("%s is in the network namespace %q, that of the host is %s", want.ContainerName, want.NetNS, host)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listener on port %d (-want +got):\n%s", test.port, diff)
		}
	}

	// What listens on the host for a container: one docker-proxy for each family.
	var want []listener
	for _, l := range []struct{ address, description string }{
		{"0.0.0.0", "Listening on all IPv4 interfaces"},
		{"::", "Listening on all IPv6 interfaces"},
	} {
		want = append(want, listener{
			ProcessName: "docker-proxy", ServiceLabel: "cache", ContainerName: "cache", ProcessIconType: "redis",
			Address: l.address, AddressDescription: l.description, Port: running.published,
			Cmd: fmt.Sprintf("-proto tcp -host-ip %s -host-port %d -container-ip %s -container-port %d", l.address, running.published, running.cacheIP, cachePort),
			Socket: socket{
				ContainerID: running.cache, ContainerName: "cache", ContainerRuntime: "docker", NetNS: inode, ProcessName: "docker-proxy",
			},
		})
	}
	got := answer.at(running.published)
	for i := range got {
		got[i].PID, got[i].Socket.PID = 0, 0
		_, got[i].Cmd, _ = strings.Cut(got[i].Cmd, "/docker-proxy ") // wherever it is installed
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listeners on the published port (-want +got):\n%s", diff)
	}
}
