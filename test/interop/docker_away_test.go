//go:build linux && interop

package interop_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Without Docker the containers are there, and nobody knows what they are called.
func testWithoutNames(t *testing.T, running containers) {
	for _, test := range []struct {
		name, api string
		problems  []string
	}{
		{
			"no such socket", "unix:///nonexistent.sock",
			[]string{"docker at unix:///nonexistent.sock: there is no such socket: start the engine, or name the socket that it listens on"},
		},
		{"not asked", "none", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, serve(t, "--netns", "all", "--container-api", test.api).url)
			eventually(t, 5*time.Second, func() (bool, string) {
				got := c.degraded(t, "containers")
				return cmp.Equal(test.problems, got), fmt.Sprintf("/readyz: %q, want %q", got, test.problems)
			})
			answer := c.sockets(t)
			for _, l := range []struct {
				port            int
				id, label, icon string
			}{
				{cachePort, running.cache, "Redis", "redis"},
				{dbPort, running.db, "PostgreSQL", "postgres"},
				{running.webPort, running.web, "Node.js", "node"},
			} {
				got := answer.only(t, l.port)
				want := listener{ServiceLabel: l.label, ProcessIconType: l.icon, Socket: socket{ContainerID: l.id, ContainerRuntime: "docker"}}
				got = listener{
					ServiceLabel: got.ServiceLabel, ProcessIconType: got.ProcessIconType, ContainerName: got.ContainerName,
					Socket: socket{ContainerID: got.Socket.ContainerID, ContainerRuntime: got.Socket.ContainerRuntime, ContainerName: got.Socket.ContainerName},
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("listener on port %d (-want +got):\n%s", l.port, diff)
				}
			}
			conn := connect(t, join(running.dbIP, dbPort))
			if got, _ := c.ends(t, conn); got.ToLabel != "PostgreSQL" {
				t.Errorf("label of %s: %q, want PostgreSQL", conn.RemoteAddr(), got.ToLabel)
			}
			proxied := connect(t, join("127.0.0.1", running.published))
			if got := c.sockets(t).of(t, proxied); got.ToLabel != "Docker" {
				t.Errorf("label of %s: %q, want Docker", proxied.RemoteAddr(), got.ToLabel)
			}
		})
	}
}

func testPermissionDenied(t *testing.T, docker *dockerd) {
	c := newClient(t, serveAs(t, nobody, "--netns", "all", "--container-api", docker.url()).url)
	want := "docker at " + docker.url() + ": permission denied: run as root or add the user to the group of the socket"
	eventually(t, 5*time.Second, func() (bool, string) {
		got := c.degraded(t, "containers")
		for _, problem := range got {
			if problem == want {
				return true, ""
			}
		}
		return false, fmt.Sprintf("/readyz: %q, want %q among them", got, want)
	})
	conn := connect(t, c.url[len("http://"):])
	c.sockets(t).of(t, conn)
}

// connectAll opens a connection with each container.
func (running containers) connectAll(t *testing.T, c *client) (conns []net.Conn) {
	t.Helper()
	for _, address := range []string{join(running.cacheIP, cachePort), join(running.dbIP, dbPort), join("127.0.0.1", running.webPort)} {
		conn := connect(t, address)
		c.ends(t, conn)
		conns = append(conns, conn)
	}
	return conns
}

// names are what a client sees of the containers: everything that an engine
// that is away must not change.
func names(t *testing.T, c *client, running containers, conns []net.Conn) (all []any) {
	t.Helper()
	answer := c.sockets(t)
	for _, port := range []int{cachePort, dbPort, running.webPort} {
		all = append(all, answer.only(t, port))
	}
	for _, conn := range conns {
		all = append(all, answer.of(t, conn))
		_, s := recordOf(t, c, conn.LocalAddr().String(), conn.RemoteAddr().String())
		all = append(all, s)
	}
	return all
}

// While Docker hangs, everything else goes on.
func testFrozen(t *testing.T, c *client, docker *dockerd, running containers) {
	conns := append(running.connectAll(t, c), connect(t, join("127.0.0.1", running.published)))
	before := names(t, c, running, conns)
	docker.signal(t, syscall.SIGSTOP)
	defer docker.signal(t, syscall.SIGCONT)

	// The daemon asks whether an engine is there that is silent for 3 s, and
	// waits 2 s for the answer. Meanwhile it answers each time, within a second
	// (newWatcher).
	want := []string{"docker at " + docker.url() + ": no answer within 2s: it hangs; restart it"}
	waitDegraded(t, c, 6*time.Second, want, func() {
		if diff := cmp.Diff(before, names(t, c, running, conns)); diff != "" {
			t.Fatalf("while Docker hangs (-before +now):\n%s", diff)
		}
	})
	t.Run("a new connection", func(t *testing.T) {
		conn := connect(t, join(running.dbIP, dbPort))
		if got, _ := c.ends(t, conn); got.ToLabel != "db" {
			t.Errorf("label of %s: %q, want db", conn.RemoteAddr(), got.ToLabel)
		}
	})
	t.Run("a new daemon", func(t *testing.T) {
		began := time.Now()
		late := newWatcher(t, serve(t, "--netns", "all", "--container-api", docker.url()).url)
		l := late.sockets(t).only(t, dbPort)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the daemon took %s to start and answer", took)
		}
		if l.ContainerName != "" || l.ServiceLabel != "PostgreSQL" || l.Socket.ContainerID != running.db {
			t.Errorf("%+v, want PostgreSQL in the container %s without a name", l, running.db)
		}
		waitDegraded(t, late, 3*time.Second, want, func() {})
		docker.signal(t, syscall.SIGCONT)
		waitNamed(t, late, 2*time.Second, dbPort, "db")
		waitDegraded(t, late, inTime, nil, func() {})
	})
	waitDegraded(t, c, 2*time.Second, nil, func() {})
	if diff := cmp.Diff(before, names(t, c, running, conns)); diff != "" {
		t.Errorf("after Docker was back (-before +now):\n%s", diff)
	}
}

// waitNamed waits until the listener on a port is that of a container of that
// name.
func waitNamed(t *testing.T, c *client, within time.Duration, port int, name string) {
	t.Helper()
	eventually(t, within, func() (bool, string) {
		all := c.sockets(t).at(port)
		return len(all) == 1 && all[0].ContainerName == name, fmt.Sprintf("want the container %s, got %+v", name, all)
	})
}

// waitDegraded waits until /readyz tells that of the containers, and calls
// meanwhile again and again.
func waitDegraded(t *testing.T, c *client, within time.Duration, want []string, meanwhile func()) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		meanwhile()
		if got = c.degraded(t, "containers"); cmp.Equal(want, got) {
			return
		}
	}
	t.Fatalf("/readyz %s later: %q, want %q", within, got, want)
}

// A container outlives its Docker, and keeps its name.
func testKilled(t *testing.T, c *client, docker *dockerd, running containers) {
	conns := running.connectAll(t, c)
	before := names(t, c, running, conns)
	docker.signal(t, syscall.SIGKILL)
	<-docker.exited

	want := []string{"docker at " + docker.url() + ": connection refused: nobody listens at the socket; start the engine"}
	same := func() {
		t.Helper()
		if diff := cmp.Diff(before, names(t, c, running, conns)); diff != "" {
			t.Fatalf("without Docker (-before +now):\n%s", diff)
		}
	}
	waitDegraded(t, c, 2*time.Second, want, same)
	same()

	docker.start(t)
	waitDegraded(t, c, 2*time.Second, nil, same)
	same()
	t.Run("a published port", func(t *testing.T) {
		conn := connect(t, join("127.0.0.1", running.published))
		if got := c.sockets(t).of(t, conn).ToLabel; got != "cache" {
			t.Errorf("label of %s: %q, want cache", conn.RemoteAddr(), got)
		}
	})
	t.Run("a new container", func(t *testing.T) {
		id := docker.docker(t, "run", "--detach", "--name", "late", "standin", "/bin/postgres", "0.0.0.0:7004")
		eventually(t, time.Second, func() (bool, string) {
			all := c.sockets(t).at(7004)
			return len(all) == 1 && all[0].ContainerName == "late" && all[0].Socket.ContainerID == id, fmt.Sprintf("%+v", all)
		})
	})
}
