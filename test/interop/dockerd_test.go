//go:build linux && interop

package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dockerd is Docker with no other containers than the test's.
type dockerd struct {
	*process
	host *containerHost
}

// dockerNetwork is the address of Docker's bridge, from a range that is no
// host's own (RFC 2544): the daemon looks into all network namespaces, and other
// containers of this machine have other addresses.
const dockerNetwork = "198.18.37.1/24"

// startDockerd starts Docker with the image of the stand-ins.
func startDockerd(t *testing.T) *dockerd {
	t.Helper()
	d := &dockerd{host: startContainerHost(t)}
	d.start(t)
	d.docker(t, "import", imageFile(t), "standin")
	return d
}

// url is what --container-api takes.
func (d *dockerd) url() string { return "unix://" + filepath.Join(d.host.dir, "docker.sock") }

// start starts dockerd and waits until it answers. It takes over the containers
// of one that was there before.
func (d *dockerd) start(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	cmd := d.host.command("dockerd", "--host", d.url(), "--live-restore",
		"--data-root", filepath.Join(d.host.dir, "data"), "--exec-root", filepath.Join(d.host.dir, "exec"),
		"--pidfile", filepath.Join(d.host.dir, "pid"),
		"--bip", dockerNetwork, "--cgroup-parent", d.host.cgroup+"/docker", "--exec-opt", "native.cgroupdriver=cgroupfs")
	d.process = start(t, cmd, filepath.Join(t.TempDir(), "dockerd.log"))
	eventually(t, 30*time.Second, func() (bool, string) {
		if !d.running() {
			t.Fatalf("dockerd ended: %s", d.said())
		}
		out, err := d.client("version").CombinedOutput()
		return err == nil, string(out)
	})
}

// client is a command of Docker's client. The settings of whoever runs the tests
// mean nothing to it.
func (d *dockerd) client(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", append([]string{"--host", d.url()}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DOCKER_CONFIG=" + d.host.dir}
	return cmd
}

// docker runs a command of Docker's client to its end and returns what it
// writes to stdout.
func (d *dockerd) docker(t *testing.T, args ...string) string {
	t.Helper()
	cmd := d.client(args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// signal sends a signal to dockerd alone, not to its containers. What has
// started dockerd stops with it, and has to go on with it.
func (d *dockerd) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := child(t, d.process).Signal(signal); err != nil {
		t.Fatal(err)
	}
	if signal == syscall.SIGCONT {
		if err := d.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
}
