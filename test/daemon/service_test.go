//go:build linux

package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

const unitPath = "../../packaging/systemd/connectionsd.service"

// unitSettings returns the settings of a unit file, in their order: what is given several times has several values.
func unitSettings(t *testing.T, path string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string][]string)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s: %q is no setting", path, line)
		}
		settings[key] = append(settings[key], value)
	}
	return settings
}

// systemdAnalyze returns a command line of it.
func systemdAnalyze(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not there: install the package systemd")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	return cmd
}

// The unit is one that systemd understands, and what systemd says of its exposure is 2.0 or lower.
func TestUnit(t *testing.T) {
	// The program is not where it will be installed: another stands in.
	b, err := os.ReadFile(unitPath)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b = bytes.ReplaceAll(b, []byte("ExecStart=/usr/bin/connectionsd "), []byte("ExecStart=/bin/true "))
	service, socket := filepath.Join(dir, "connectionsd.service"), filepath.Join(dir, "connectionsd.socket")
	if err := os.WriteFile(service, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(strings.TrimSuffix(unitPath, "service") + "socket"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(socket, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := systemdAnalyze(t, "verify", service, socket).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	out, err := systemdAnalyze(t, "security", "--offline=true", "--threshold=20", unitPath).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v, want an exposure of at most 2.0:\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "Overall exposure level") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// service is what of a unit holds for its process, as far as it can be done without systemd.
type service struct {
	Capabilities []string // of libcap: cap_sys_admin
	Calls        []string
	Families     []uint64
}

// serviceEnv has a service for becomeService, as JSON.
const serviceEnv = "DAEMON_TEST_SERVICE"

// serviceOf returns that of a unit.
func serviceOf(t *testing.T, path string) service {
	t.Helper()
	settings := unitSettings(t, path)
	sets := callSets(t)
	var s service
	for _, value := range settings["SystemCallFilter"] {
		value, without := strings.CutPrefix(value, "~")
		for _, name := range strings.Fields(value) {
			for _, call := range expand(sets, name) {
				s.Calls = slices.DeleteFunc(s.Calls, func(have string) bool { return have == call })
				if !without {
					s.Calls = append(s.Calls, call)
				}
			}
		}
	}
	for _, name := range strings.Fields(strings.Join(settings["RestrictAddressFamilies"], " ")) {
		family, known := map[string]uint64{
			"AF_UNIX": unix.AF_UNIX, "AF_NETLINK": unix.AF_NETLINK, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6,
		}[name]
		if !known {
			t.Fatalf("address family %s", name)
		}
		s.Families = append(s.Families, family)
	}
	ambient := strings.Join(settings["AmbientCapabilities"], " ")
	if bounding := strings.Join(settings["CapabilityBoundingSet"], " "); bounding != ambient {
		t.Errorf("CapabilityBoundingSet=%s, AmbientCapabilities=%s: want the same", bounding, ambient)
	}
	s.Capabilities = strings.Fields(strings.ToLower(ambient))
	return s
}

// callSets are the sets of system calls that systemd has names for, such as @system-service.
func callSets(t *testing.T) map[string][]string {
	t.Helper()
	out, err := systemdAnalyze(t, "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	sets := make(map[string][]string)
	set := ""
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(line, "@"):
			set = name
		case set != "":
			sets[set] = append(sets[set], name)
		}
	}
	return sets
}

// expand returns the calls that a name of systemd's stands for.
func expand(sets map[string][]string, name string) []string {
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	var calls []string
	for _, member := range sets[name] {
		calls = append(calls, expand(sets, member)...)
	}
	return calls
}

// becomeService makes this process a service as systemd would, of the user 65533, and executes its arguments.
func becomeService() error {
	var s service
	if err := json.Unmarshal([]byte(os.Getenv(serviceEnv)), &s); err != nil {
		return err
	}
	var capabilities []cap.Value
	for _, name := range s.Capabilities {
		value, err := cap.FromName(name)
		if err != nil {
			return err
		}
		capabilities = append(capabilities, value)
	}
	for value := range cap.MaxBits() {
		if slices.Contains(capabilities, value) {
			continue
		}
		if err := cap.DropBound(value); err != nil {
			return err
		}
	}
	if err := cap.SetGroups(65533); err != nil {
		return err
	}
	if err := cap.SetUID(65533); err != nil {
		return err
	}
	set := cap.NewSet()
	for _, flag := range []cap.Flag{cap.Permitted, cap.Effective, cap.Inheritable} {
		if err := set.SetFlag(flag, true, capabilities...); err != nil {
			return err
		}
	}
	if err := set.SetProc(); err != nil {
		return err
	}
	if err := cap.SetAmbient(true, capabilities...); err != nil {
		return err
	}
	if err := s.filter(); err != nil {
		return err
	}
	environ := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, serviceEnv) })
	return syscall.Exec(os.Args[1], os.Args[1:], append(environ, fmt.Sprintf("LISTEN_PID=%d", os.Getpid())))
}

// filter loads SystemCallFilter= and RestrictAddressFamilies=, with NoNewPrivileges=.
func (s service) filter() error {
	here, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	isUnknown := func(name string) bool { _, ok := here.SyscallNames[name]; return !ok || name == "socket" }
	group := seccomp.SyscallGroup{Action: seccomp.ActionAllow, Names: slices.DeleteFunc(slices.Clone(s.Calls), isUnknown)}
	for _, family := range s.Families {
		group.NamesWithCondtions = append(group.NamesWithCondtions, seccomp.NameWithConditions{
			Name: "socket", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.Equal, Value: family}},
		})
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{group}},
	})
}

// With the user, the capabilities, the system calls and the address families of the unit, and the sockets of the other, every
// feature answers. What the unit does to the file system cannot be done here without systemd.
func TestService(t *testing.T) {
	needsRootOfTheHost(t, "to give another user capabilities")
	s, err := json.Marshal(serviceOf(t, unitPath))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	notify := filepath.Join(shortDir(t), "notify")
	systemd := listenNotify(t, notify)
	if err := os.Chmod(notify, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "serve", "--log-format", "json", "--netns", "all", "--bpf", "on", "--container-api", engine(t, 65533))
	cmd.Args = append([]string{"service", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/proc/self/exe"
	cmd.ExtraFiles = []*os.File{fileOf(t, tcp)}
	cmd.Env = append(cmd.Env, serviceEnv+"="+string(s), "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=1000000", "LISTEN_FDS=1", "LISTEN_FDNAMES=connectionsd.socket")
	d := start(t, cmd)
	for _, want := range []string{"READY=1", "WATCHDOG=1"} {
		if got := systemd.next(); got != want {
			t.Errorf("systemd is told %q, want %q", got, want)
		}
	}
	got := threads(t, d.cmd.Process.Pid)
	none, kept := fmt.Sprintf("%016x", 0), fmt.Sprintf("%016x", handles|ptrace|namespaces)
	want := map[string]string{
		"Uid": "65533 65533 65533 65533", "Gid": "65533 65533 65533 65533", "Groups": "", "CapInh": none, "CapPrm": kept, "CapEff": kept,
		"CapBnd": kept, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("threads (-want +got):\n%s", diff)
	}
	other, elsewhere, inside := hold(t), holdInNewNetNS(t), holdInContainer(t)
	isKnown := func(s seen) bool { return s.PID != 0 }
	if got := d.until(other.port, isKnown); got.PID != other.pid || got.Cmd != "sleep 60" {
		t.Errorf("another user's process: %+v, want process %d", got, other.pid)
	}
	if got := d.until(elsewhere.port, isKnown); got.PID != elsewhere.pid {
		t.Errorf("another network namespace: %+v, want process %d", got, elsewhere.pid)
	}
	if got := d.until(inside.port, func(s seen) bool { return s.Container != "" }); got.Container != "web" {
		t.Errorf("a container's socket: %+v, want container web", got)
	}
	if status, _, body := d.get("/readyz"); status != http.StatusOK || body != `{"status":"ready","degraded":[]}` {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
	lines := bufio.NewScanner(d.log)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"level":"info"`) {
			t.Errorf("it complains: %s", lines.Text())
		}
	}
}

// shortDir returns a new directory that others may search, of a name short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "connectionsd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
