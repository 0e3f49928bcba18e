//go:build linux && packages

package packages_test

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
)

// machine is this one as far as its files go, with namespaces of its own: what is done in it changes nothing here. Its first
// process is systemd, or one that does nothing.
type machine struct {
	t     *testing.T
	pid   int    // of its first process, as seen from here
	upper string // where what differs from this machine's files is, in the machine's mount namespace
}

// bootScript makes the machine's files of this one's, and becomes its first process. $1 is a directory of its own, $2 a cgroup of
// its own in the unified hierarchy, the rest is the first process.
const bootScript = `
set -e
echo $$ >"$2/cgroup.procs"
exec unshare --cgroup --propagation private sh -e -c '
	dir=$1
	shift 2
	mount -t tmpfs -o mode=755 tmpfs "$dir"
	mkdir "$dir/upper" "$dir/work" "$dir/root"
	root=$dir/root
	mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
	mount -t proc proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
	for tmpfs in run tmp dev; do
		mount -t tmpfs -o mode=755 tmpfs "$root/$tmpfs"
	done
	for device in null zero full random urandom tty ptmx; do
		touch "$root/dev/$device"
		mount --bind "/dev/$device" "$root/dev/$device"
	done
	# Of the services that this machine has none is started, and none is kept from it.
	rm -rf "$root"/etc/systemd/system/* "$root/usr/sbin/policy-rc.d" "$root/var/lib/man-db/auto-update"
	ip link set lo up
	echo made
	exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
' sh "$@"
`

// boot starts a machine whose first process is init. It ends with the test.
func boot(t *testing.T, init ...string) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: packages are installed, in namespaces of the test's own")
	}
	dir, cgroup := t.TempDir(), newCgroup(t)
	cmd := exec.Command("sh", append([]string{"-c", bootScript, "sh", dir, cgroup}, init...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL, // nothing is left if the tests are killed
	}
	var log strings.Builder
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a machine: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it all its processes
		_ = cmd.Wait()
		if t.Failed() && log.Len() > 0 {
			t.Logf("the machine said:\n%s", &log)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "made\n" {
		t.Fatalf("the machine said %q: %v %s", line, err, &log)
	}
	return &machine{t, cmd.Process.Pid, filepath.Join(dir, "upper")}
}

// bootSystemd starts a machine with systemd, and waits until all that starts with it has.
func bootSystemd(t *testing.T) *machine {
	t.Helper()
	m := boot(t, "/lib/systemd/systemd", "--unit=multi-user.target", "--log-target=journal-or-kmsg")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		// That all of them could be started is not asked for: of what this machine has something may want more than it gets.
		out, _ := m.try("systemctl", "is-system-running")
		if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("systemd has not started within 30 s: %s", out)
		}
	}
}

// newCgroup makes a cgroup in the unified hierarchy, which goes with the test.
func newCgroup(t *testing.T) string {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		root = filepath.Join(root, "unified")
	}
	path := filepath.Join(root, "connectionsd-packages-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var all []string
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		for _, path := range slices.Backward(all) {
			// The kernel can take a moment to be done with the last process.
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				err := syscall.Rmdir(path)
				if err == nil {
					break
				}
				if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
					t.Errorf("remove the cgroup %s: %v", path, err)
					break
				}
			}
		}
	})
	return path
}

// try runs a command in the machine and returns what it says, and its exit code.
func (m *machine) try(name string, args ...string) (string, int) {
	m.t.Helper()
	enter := []string{"--target", strconv.Itoa(m.pid), "--all", "--root", "--wd", "--", name}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// run runs a command that has to succeed.
func (m *machine) run(name string, args ...string) string {
	m.t.Helper()
	out, code := m.try(name, args...)
	if code != 0 {
		m.t.Fatalf("%s %s: exit code %d: %s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// hasFile reports whether there is a file of that name.
func (m *machine) hasFile(path string) bool {
	m.t.Helper()
	_, code := m.try("test", "-e", path, "-o", "-L", path)
	return code == 0
}

// changed returns the paths of all that is not as on this machine, with /run.
func (m *machine) changed() map[string]bool {
	m.t.Helper()
	paths := make(map[string]bool)
	list := func(enter []string, root, prefix string) {
		args := append([]string{"--target", strconv.Itoa(m.pid)}, enter...)
		out, err := exec.Command("nsenter", append(args, "--", "find", root, "-xdev", "-mindepth", "1", "-printf", `%y %P\n`)...).Output()
		if err != nil {
			m.t.Fatalf("find %s: %v", root, err)
		}
		for line := range strings.Lines(string(out)) {
			kind, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if info, err := os.Lstat(prefix + path); kind == "d" && err == nil && info.IsDir() && prefix == "/" {
				continue // it is there for what is in it
			}
			paths[prefix+path] = true
		}
	}
	list([]string{"--mount"}, m.upper, "/")
	list([]string{"--mount", "--root"}, "/run", "/run/")
	return paths
}

// copyIn copies a file into the machine's /tmp and returns its path there.
func (m *machine) copyIn(path string) string {
	m.t.Helper()
	there := "/tmp/" + filepath.Base(path)
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/root%s", m.pid, there), b, 0o644); err != nil {
		m.t.Fatal(err)
	}
	return there
}
