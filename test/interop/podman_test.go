//go:build linux && interop

package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// podman is Podman with no other containers than the test's.
type podman struct {
	service *process
	host    *containerHost
}

// podmanNetwork is of the range that dockerNetwork is of.
const podmanNetwork = "198.18.38.0/24"

// startPodman starts Podman's service with the image of the stand-ins.
func startPodman(t *testing.T) *podman {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	p := &podman{host: startContainerHost(t)}
	p.service = start(t, p.command("system", "service", "--time", "0", p.url()), filepath.Join(t.TempDir(), "podman.log"))
	eventually(t, 30*time.Second, func() (bool, string) {
		if !p.service.running() {
			t.Fatalf("podman ended: %s", p.service.said())
		}
		_, err := os.Stat(strings.TrimPrefix(p.url(), "unix://"))
		return err == nil, "the socket of podman"
	})
	p.podman(t, "import", imageFile(t), "standin")
	p.podman(t, "network", "create", "--subnet", podmanNetwork, "own")
	return p
}

// url is what --container-api takes. That it is Podman's can be told by the name.
func (p *podman) url() string { return "unix://" + filepath.Join(p.host.dir, "podman.sock") }

func (p *podman) command(args ...string) *exec.Cmd {
	in := func(name string) string { return filepath.Join(p.host.dir, name) }
	return p.host.command("podman", append([]string{
		"--root", in("root"), "--runroot", in("runroot"), "--tmpdir", in("tmp"), "--network-config-dir", in("networks"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "file",
	}, args...)...)
}

// podman runs a command of Podman to its end and returns what it writes to
// stdout.
func (p *podman) podman(t *testing.T, args ...string) string {
	t.Helper()
	cmd := p.command(args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("podman %s: %v %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// run runs a container and returns its id.
func (p *podman) run(t *testing.T, args ...string) string {
	t.Helper()
	return p.podman(t, append([]string{"run", "--detach", "--cgroup-parent", p.host.cgroup + "/libpod_parent"}, args...)...)
}

func TestPodman(t *testing.T) {
	podman := startPodman(t)
	published, webPort := freePort(t), freePort(t)
	cache := podman.run(t, "--name", "cache", "--network", "own", "--publish", fmt.Sprintf("127.0.0.1:%d:%d", published, cachePort),
		"standin", "/bin/redis-server", fmt.Sprintf("0.0.0.0:%d", cachePort))
	db := podman.run(t, "--name", "db", "--network", "none", "standin", "/bin/postgres", fmt.Sprintf("127.0.0.1:%d", dbPort))
	web := podman.run(t, "--name", "web", "--network", "host", "standin", "/bin/node", fmt.Sprintf("127.0.0.1:%d", webPort))
	c := newClient(t, serve(t, "--netns", "all", "--container-api", podman.url()).url)
	waitNamed(t, c, 10*time.Second, cachePort, "cache")
	waitNamed(t, c, 10*time.Second, dbPort, "db")
	waitNamed(t, c, 10*time.Second, webPort, "web")
	if problems := c.degraded(t, "containers"); problems != nil {
		t.Errorf("/readyz: %q, want no problem with the containers", problems)
	}

	answer := c.sockets(t)
	inode, host := netNS(t, os.Getpid())
	for _, test := range []struct {
		port              int
		id                string
		name              string
		process, icon     string
		own               bool // has a network namespace of its own
		address, describe string
	}{
		{cachePort, cache, "cache", "redis-server", "redis", true, "0.0.0.0", "Listening on all IPv4 interfaces"},
		{dbPort, db, "db", "postgres", "postgres", true, "127.0.0.1", "Localhost only (IPv4)"},
		{webPort, web, "web", "node", "node", false, "127.0.0.1", "Localhost only (IPv4)"},
	} {
		got := answer.only(t, test.port)
		checkComm(t, got.PID, test.process)
		inode, link := netNS(t, got.PID)
		if (link != host) != test.own {
			t.Errorf("%s is in %s, the host in %s", test.name, link, host)
		}
		want := listener{
			PID: got.PID, ProcessName: test.process, ServiceLabel: test.name, ContainerName: test.name, ProcessIconType: test.icon,
			Address: test.address, AddressDescription: test.describe, Port: test.port,
			Cmd: fmt.Sprintf("/bin/%s %s:%d", test.process, test.address, test.port),
			Socket: socket{
				ContainerID: test.id, ContainerName: test.name, ContainerRuntime: "podman", NetNS: inode, PID: got.PID, ProcessName: test.process,
			},
		}
		if test.own {
			want.NetNS = link
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listener on port %d (-want +got):\n%s", test.port, diff)
		}
	}

	// conmon keeps the published port, and the kernel passes connections on.
	got := answer.only(t, published)
	want := listener{
		PID: got.PID, ProcessName: "conmon", ServiceLabel: "cache", ContainerName: "cache", ProcessIconType: "redis",
		Address: "127.0.0.1", AddressDescription: "Localhost only (IPv4)", Port: published, Cmd: got.Cmd,
		Socket: socket{
			ContainerID: cache, ContainerName: "cache", ContainerRuntime: "podman", NetNS: inode, PID: got.PID, ProcessName: "conmon",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listener on the published port (-want +got):\n%s", diff)
	}

	t.Run("changes", func(t *testing.T) {
		shows := func(want string) {
			t.Helper()
			eventually(t, time.Second, func() (bool, string) {
				l := c.sockets(t).only(t, dbPort)
				return l.ContainerName == want && l.ServiceLabel == want, fmt.Sprintf("want %s, got %+v", want, l)
			})
		}
		podman.podman(t, "rename", "db", "store")
		shows("store")
		podman.podman(t, "rename", "store", "db")
		shows("db")
		podman.podman(t, "rm", "--force", "--time", "0", "db")
		eventually(t, time.Second, func() (bool, string) {
			all := c.sockets(t).at(dbPort)
			return len(all) == 0, fmt.Sprintf("%+v", all)
		})
	})
}
