//go:build linux && interop

package interop_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// binaries is where build builds; TestMain removes it.
var binaries = filepath.Join(os.TempDir(), fmt.Sprintf("connectionsd-interop-%d", os.Getpid()))

// build builds the daemon once for all tests.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "connectionsd")
	out, err := exec.Command("go", "build", "-o", path, "github.com/connectionsd/connectionsd/cmd/connectionsd").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the daemon: %w\n%s", err, out)
	}
	return path, nil
})

// connectionsd is a running `connectionsd serve`.
type connectionsd struct {
	*process
	url string // http://127.0.0.1:PORT
}

// serve starts the daemon on a free port, without a rate limit unless args set
// one, and waits until it listens.
func serve(t *testing.T, args ...string) *connectionsd {
	t.Helper()
	return serveAs(t, nil, args...)
}

// serveAs is serve as another user; nil is the test's own.
func serveAs(t *testing.T, user *syscall.Credential, args ...string) *connectionsd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"serve", "--rpc-bind-port", "0"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	// Of other namespaces of this host only the tests of containers want to know.
	cmd.Env = []string{"CONNECTIONSD_LOG_FORMAT=json", "CONNECTIONSD_RATE_LIMIT=0", "CONNECTIONSD_NETNS=self", "CONNECTIONSD_CONTAINER_API=none"}
	stdout, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdout.Close() })
	cmd.Stdout = writer
	d := &connectionsd{process: start(t, cmd, filepath.Join(t.TempDir(), "connectionsd.log"))}
	writer.Close() // the daemon has its own
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		<-d.exited
		t.Fatalf("the daemon ended: %s", d.said())
	}
	d.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	return d
}

// port is the port that the daemon listens on.
func (d *connectionsd) port(t *testing.T) int {
	t.Helper()
	_, text, err := net.SplitHostPort(d.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
