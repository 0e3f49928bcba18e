//go:build linux && interop

package interop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// containerHost is where a container engine runs with its containers. It has
// process and mount namespaces of its own, so that they end with it, and it ends
// with the test, whatever becomes of that. The network is the test's.
type containerHost struct {
	init *process
	// dir is for the files of the engine. All users may look into it, and its
	// path is short enough for a socket.
	dir string
	// cgroup is the path of the cgroup that the containers' are to be made in.
	cgroup string
}

// hostScript is the first process of the host. /proc is that of its processes,
// and directories that engines write to, whatever they are told, are its own.
const hostScript = `
set -e
mount -t proc proc /proc
for dir in /run /etc/docker /var/lib/cni; do
	[ ! -d $dir ] || mount -t tmpfs tmpfs $dir
done
trap exit TERM
echo ready
sleep infinity &
wait
`

func startContainerHost(t *testing.T) *containerHost {
	t.Helper()
	// clear takes away what engines have made of the network, and must not do so
	// anywhere else.
	own, _ := netNS(t, os.Getpid())
	if machine, _ := netNS(t, os.Getppid()); own == machine {
		t.Fatal("this is the network namespace of whoever runs the tests: want one of the test's own")
	}
	h := &containerHost{cgroup: fmt.Sprintf("/connectionsd-interop-%d", os.Getpid())}
	var err error
	if h.dir, err = os.MkdirTemp("", "engine"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.clear(t) })
	if err := os.Chmod(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stdout, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	cmd := exec.Command("sh", "-c", hostScript)
	cmd.Stdout = writer
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	h.init = start(t, cmd, filepath.Join(t.TempDir(), "host.log"))
	writer.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the host of the containers said %q: %v %s", line, err, h.init.said())
	}
	return h
}

// command is a command that runs on the host.
func (h *containerHost) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.init.cmd.Process.Pid), "--pid", "--mount", "--", name}, args...)...)
}

// child is the process that a command of the host is, as seen by the test:
// nsenter has started it and waits for it.
func child(t *testing.T, p *process) *os.Process {
	t.Helper()
	pid := strconv.Itoa(p.cmd.Process.Pid)
	text, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("the processes that %s has started: %q", p.cmd.Path, text)
	}
	found, err := os.FindProcess(number)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// clear removes what the engine has made outside of the host's namespaces. The
// host has ended.
func (h *containerHost) clear(t *testing.T) {
	if err := os.RemoveAll(h.dir); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		roots, err := filepath.Glob(pattern + h.cgroup)
		if err != nil {
			t.Error(err)
		}
		for _, root := range roots {
			if err := removeCgroups(root); err != nil {
				t.Error(err)
			}
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Error(err)
	}
	for _, link := range links {
		if link.Type() != "bridge" {
			continue
		}
		if err := netlink.LinkDel(link); err != nil {
			t.Errorf("delete the bridge %s: %v", link.Attrs().Name, err)
		}
	}
	for _, table := range []string{"nat", "filter"} {
		for _, command := range []string{"--flush", "--delete-chain"} {
			if out, err := exec.Command("iptables", "--wait", "--table", table, command).CombinedOutput(); err != nil {
				t.Errorf("iptables --table %s %s: %v %s", table, command, err, out)
			}
		}
	}
}

// removeCgroups removes a cgroup with all beneath it, which has no processes.
func removeCgroups(root string) error {
	var all []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(all) {
		// The kernel can take a moment to be done with the last process.
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			err := syscall.Rmdir(path)
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove the cgroup %s: %w", path, err)
			}
		}
	}
	return nil
}
