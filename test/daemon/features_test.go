//go:build linux

package daemon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// holder is a process, of a user that neither this test nor the daemon is, that alone holds a listening socket.
type holder struct {
	pid, port int
}

// hold makes one. The socket and the process are made by the calling thread, in its network namespace, and the socket in the
// cgroup that this process is in.
func hold(t *testing.T) holder {
	t.Helper()
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4000000001, Gid: 4000000001}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is there still
		_ = cmd.Wait()         // which says that it was killed
	})
	return holder{cmd.Process.Pid, listener.Addr().(*net.TCPAddr).Port}
}

// holdInNewNetNS makes one in a network namespace that has no name.
func holdInNewNetNS(t *testing.T) (h holder) {
	t.Helper()
	var err error
	done := make(chan struct{})
	go func() { // its thread is in that namespace, and ends with it
		defer close(done)
		runtime.LockOSThread()
		if err = syscall.Unshare(syscall.CLONE_NEWNET); err == nil {
			h = hold(t)
		}
	}()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// containerID is that of the container that holdInContainer makes as much of as a cgroup is.
const containerID = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

// holdInContainer makes one whose socket alone tells of the container: the process is in none.
func holdInContainer(t *testing.T) (h holder) {
	t.Helper()
	root := cgroup2(t)
	container := filepath.Join(root, "docker-"+containerID+".scope")
	if err := os.Mkdir(container, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(container); err != nil {
			t.Error(err)
		}
	})
	here := ownCgroup2(t, root)
	enter := func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	enter(container)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	enter(here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return holder{os.Getpid(), listener.Addr().(*net.TCPAddr).Port}
}

// cgroup2 is where the unified hierarchy is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if where, what, _ := strings.Cut(line, " - "); strings.HasPrefix(what, "cgroup2 ") {
			return strings.Fields(where)[4]
		}
	}
	t.Skip("no cgroup2 file system is mounted")
	return ""
}

// ownCgroup2 is the directory of the cgroup that this process is in.
func ownCgroup2(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join(root, path)
		}
	}
	t.Fatal("this process is in no cgroup of the unified hierarchy")
	return ""
}

// engine is as much of Docker as it takes to tell one container's name. Its socket is for root and for a group.
func engine(t *testing.T, group int) (url string) {
	t.Helper()
	path := filepath.Join(shortDir(t), "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chown(path, 0, group), os.Chmod(path, 0o660)); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.44") })
	mux.HandleFunc("/v1.44/containers/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"Id":%q,"Names":["/web"],"State":"running"}]`, containerID)
	})
	mux.HandleFunc("/v1.44/events", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the daemon sees it if that fails
		<-r.Context().Done()
	})
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }() // ends by Close
	t.Cleanup(func() { server.Close(); <-done })
	return "unix://" + path
}

// seen is what the daemon says of a listener.
type seen struct {
	PID         int
	ProcessName string
	Container   string `json:"containerName"`
	NetNS       string
	Cmd         string
}

// listeners returns those of /api/connections by port.
func (d *daemon) listeners() map[int]seen {
	d.t.Helper()
	status, _, body := d.get("/api/connections")
	var answer struct {
		Listeners []struct {
			seen
			Port int
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		d.t.Fatalf("status %d, %v: %s", status, err, body)
	}
	all := make(map[int]seen)
	for _, l := range answer.Listeners {
		all[l.Port] = l.seen
	}
	return all
}

// until asks again until what it is told of a port is right, and returns what it was told last. Namespaces are looked for
// twice a second, and engines are asked in their own time.
func (d *daemon) until(port int, right func(seen) bool) seen {
	d.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if got := d.listeners()[port]; right(got) || time.Now().After(deadline) {
			return got
		}
	}
}

// With the privileges that are left every feature answers for what comes after the start.
func TestFeaturesAfterStart(t *testing.T) {
	needsRootOfTheHost(t, "a process of another user")
	const group = 4000000007
	for _, test := range []struct {
		name string
		args []string
		all  bool // all namespaces
	}{
		{"by /proc", []string{"--bpf", "off", "--netns", "all"}, true},
		{"by BPF", []string{"--bpf", "on", "--netns", "all"}, true},
		{"by BPF in a Landlock domain", []string{"--bpf", "on", "--netns", "self"}, false},
		{"by /proc as another user", []string{"--bpf", "off", "--netns", "all", "--user", fmt.Sprintf("65534:%d", group)}, true},
		{"by BPF as another user", []string{"--bpf", "on", "--netns", "all", "--user", fmt.Sprintf("65534:%d", group)}, true},
		{"by BPF as another user in a Landlock domain", []string{"--bpf", "on", "--netns", "self", "--user", fmt.Sprintf("65534:%d", group)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := serve(t, append(test.args, "--container-api", engine(t, group))...)
			other := hold(t)
			want := seen{PID: other.pid, ProcessName: "sleep", Cmd: "sleep 60"}
			got := d.until(other.port, func(s seen) bool { return s.PID != 0 })
			want.NetNS = got.NetNS
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("another user's process (-want +got):\n%s", diff)
			}
			if test.all {
				elsewhere := holdInNewNetNS(t)
				got := d.until(elsewhere.port, func(s seen) bool { return s.PID != 0 })
				inode, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", elsewhere.pid))
				if err != nil {
					t.Fatal(err)
				}
				want := seen{PID: elsewhere.pid, ProcessName: "sleep", NetNS: inode, Cmd: "sleep 60"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("another network namespace (-want +got):\n%s", diff)
				}
			}
			inside := holdInContainer(t)
			if got := d.until(inside.port, func(s seen) bool { return s.Container != "" }); got.Container != "web" || got.PID != inside.pid {
				t.Errorf("a container's socket: %+v, want container web, process %d", got, inside.pid)
			}
			if code := d.stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for line := range strings.Lines(d.log.String()) {
				if strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"warn"`) {
					t.Errorf("it complains: %s", line)
				}
			}
		})
	}
}

// A namespace that has a name is found by it without a look at other processes.
func TestNamedNetNSAfterStart(t *testing.T) {
	needsRootOfTheHost(t, "BPF, and a name for a network namespace,")
	const name = "connectionsd-test"
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	defer func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}()
	d := serve(t, "--netns", name, "--bpf", "on")
	var h holder
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: it is in another namespace
		file, err := os.Open("/run/netns/" + name)
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		h = hold(t)
	}()
	<-done
	got := d.until(h.port, func(s seen) bool { return s.PID != 0 })
	if diff := cmp.Diff(seen{PID: h.pid, ProcessName: "sleep", NetNS: name, Cmd: "sleep 60"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, _, metrics := d.get("/metrics"); !strings.Contains(metrics, "connectionsd_sandbox{restriction=\"landlock\"} 1\n") {
		t.Error("it is in no Landlock domain")
	}
}
