//go:build linux && interop

package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// installPage tells how the image is run.
const installPage = "../../docs/install.md"

// documentedRun returns the arguments of docker that installPage names, from "run" to the name of the image.
func documentedRun(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    docker (run(?:.*\\\n)+ +connectionsd)$`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s: no docker run", installPage)
	}
	return strings.Fields(strings.ReplaceAll(found[1], "\\\n", " "))
}

// The image is the program and nothing else. Run as installPage says it sees the sockets, processes and names of the host and its
// containers; run without privileges it answers.
func TestImage(t *testing.T) {
	d := startDockerd(t)
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "connectionsd"), "github.com/connectionsd/connectionsd/cmd/connectionsd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the daemon: %v %s", err, out)
	}
	d.docker(t, "build", "--file", "../../packaging/docker/Dockerfile", "--build-arg", "VERSION=v1.2.3", "--tag", "connectionsd", dir)
	if got, want := d.docker(t, "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.version"}} {{.Config.User}}`, "connectionsd"), "v1.2.3 65532:65532"; got != want {
		t.Errorf("version and user of the image: %q, want %q", got, want)
	}
	if got := d.docker(t, "run", "--rm", "connectionsd", "version"); !strings.HasPrefix(got, "connectionsd ") {
		t.Errorf("connectionsd version: %q", got)
	}

	d.docker(t, "run", "--detach", "--name", "db", "standin", "/bin/postgres", fmt.Sprintf("0.0.0.0:%d", dbPort))
	waitListens(t, join(d.address(t, "db"), dbPort))
	// As systemd has it, so that what is mounted on the host later is seen by containers too.
	if out, err := d.host.command("mount", "--make-rshared", "/").CombinedOutput(); err != nil {
		t.Fatalf("share the mounts: %v %s", err, out)
	}
	args := documentedRun(t)
	socket := slices.Index(args, "/run/docker.sock:/run/docker.sock")
	if socket < 0 {
		t.Fatalf("%s mounts no socket of Docker", installPage)
	}
	args[socket] = filepath.Join(d.host.dir, "docker.sock") + ":/run/docker.sock"
	d.docker(t, args...)
	c := newClient(t, "http://127.0.0.1:18081")
	waitListens(t, "127.0.0.1:18081")
	waitNamed(t, c, 5*time.Second, dbPort, "db")
	// Docker says that a container runs once its program does, which may have asked for the list by then.
	waitNamed(t, c, 5*time.Second, 18081, "connectionsd")
	got := c.sockets(t).only(t, dbPort)
	if got.ProcessName != "postgres" || got.ContainerName != "db" || got.Socket.ContainerRuntime != "docker" || !strings.HasPrefix(got.NetNS, "net:[") {
		t.Errorf("a container's listener: %+v, want that of postgres in db, in a network namespace of its own", got)
	}
	if own := c.sockets(t).only(t, 18081); own.NetNS != "" {
		t.Errorf("its own listener: %+v, want it on the host's network", own)
	}
	// The host of the containers is in a process namespace itself, where BPF can name no processes.
	var readiness struct {
		Degraded []struct{ Feature, Reason string }
	}
	_, text := c.get(t, "/readyz")
	decode(t, text, &readiness)
	if got := readiness.Degraded; len(got) != 1 || got[0].Feature != "bpf" || !strings.Contains(got[0].Reason, "pid namespace of its own") {
		t.Errorf("/readyz: %s, want nothing to be missing but BPF", text)
	}
	if logs, err := d.client("logs", "connectionsd").CombinedOutput(); err != nil || !strings.Contains(string(logs), `"capabilities":["CAP_DAC_READ_SEARCH","CAP_SYS_PTRACE","CAP_SYS_ADMIN"]`) {
		t.Errorf("the log, %v, does not say the capabilities: %s", err, logs)
	}
	d.docker(t, "stop", "connectionsd")
	if got := d.docker(t, "inspect", "--format", "{{.State.ExitCode}}", "connectionsd"); got != "0" {
		t.Errorf("exit code %s after docker stop", got)
	}

	port := freePort(t)
	d.docker(t, "run", "--detach", "--name", "plain", "--network", "host", "--read-only", "--cap-drop", "ALL", "connectionsd", "serve", "--rpc-bind-port", fmt.Sprint(port))
	waitListens(t, join("127.0.0.1", port))
	plain := newClient(t, fmt.Sprintf("http://127.0.0.1:%d", port))
	// It listens before its first dump.
	eventually(t, 10*time.Second, func() (bool, string) {
		status, text := plain.get(t, "/readyz")
		return status == 200, fmt.Sprintf("without privileges: /readyz: %d %s", status, text)
	})
}
