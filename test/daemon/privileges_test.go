//go:build linux

package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The capabilities that the daemon may have left, as /proc/PID/status writes them.
const (
	noCapability = 0
	handles      = 1 << 2  // CAP_DAC_READ_SEARCH
	ptrace       = 1 << 19 // CAP_SYS_PTRACE
	namespaces   = 1 << 21 // CAP_SYS_ADMIN
)

// Once it has started, every thread of the daemon, and each that comes later, has what the chosen features take and no more.
func TestPrivilegesAfterStart(t *testing.T) {
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	for _, test := range []struct {
		name     string
		args     []string
		as       *syscall.Credential
		host     bool // it takes root of the host
		want     uint64
		uid      string
		gid      string
		landlock bool
	}{
		{name: "all namespaces", args: []string{"--netns", "all", "--bpf", "off"}, want: handles | ptrace | namespaces},
		{name: "its own namespace", args: []string{"--netns", "self", "--bpf", "off"}, want: handles | ptrace},
		{name: "a named namespace", args: []string{"--netns", "blue", "--bpf", "off"}, want: handles | ptrace | namespaces},
		{name: "all namespaces, BPF", args: []string{"--netns", "all", "--bpf", "on"}, host: true, want: handles | ptrace | namespaces},
		{name: "its own namespace, BPF", args: []string{"--netns", "self", "--bpf", "on"}, host: true, want: handles, landlock: true},
		{name: "a named namespace, BPF", args: []string{"--netns", "blue", "--bpf", "on"}, host: true, want: handles | namespaces, landlock: true},
		{
			name: "another user", args: []string{"--netns", "all", "--bpf", "on", "--user", "65534:65533"}, host: true,
			want: handles | ptrace | namespaces, uid: "65534", gid: "65533",
		},
		{
			name: "another user, BPF alone", args: []string{"--netns", "self", "--bpf", "on", "--user", "nobody"}, host: true,
			want: handles, uid: "65534", gid: "65534", landlock: true,
		},
		{name: "an ordinary user", args: []string{"--netns", "all"}, as: nobody, host: true, want: noCapability, uid: "65534", gid: "65534"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host {
				needsRootOfTheHost(t, "BPF, and to be another user,")
			}
			d := serveAs(t, test.as, test.args...)
			// Threads come with work.
			var work sync.WaitGroup
			for range 8 {
				work.Go(func() {
					for _, path := range []string{"/api/connections", "/metrics", "/readyz"} {
						d.get(path)
					}
				})
			}
			work.Wait()
			got := threads(t, d.cmd.Process.Pid)
			none, kept := fmt.Sprintf("%016x", 0), fmt.Sprintf("%016x", test.want)
			uid, gid := orZero(test.uid), orZero(test.gid)
			want := map[string]string{
				"Uid": strings.Join([]string{uid, uid, uid, uid}, " "), "Gid": strings.Join([]string{gid, gid, gid, gid}, " "),
				"Groups": got["Groups"], "CapInh": none, "CapPrm": kept, "CapEff": kept, "CapBnd": none, "CapAmb": none,
				"NoNewPrivs": "1", "Seccomp": "2",
			}
			switch {
			case test.as != nil: // it may not empty the bounding set, which with no_new_privs bounds nothing
				want["CapBnd"] = got["CapBnd"]
			case test.uid == "65534" && test.gid == "65533": // a number of another's group
				want["Groups"] = ownGroups(t)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("threads (-want +got):\n%s", diff)
			}
			_, _, metrics := d.get("/metrics")
			landlock := map[bool]int{true: 1}[test.landlock]
			for restriction, holds := range map[string]int{"capabilities": 1, "no_new_privs": 1, "seccomp": 1, "landlock": landlock} {
				if line := fmt.Sprintf("connectionsd_sandbox{restriction=%q} %d\n", restriction, holds); !strings.Contains(metrics, line) {
					t.Errorf("/metrics has no line %q", line)
				}
			}
			// The memory of a process that is no longer to be looked into is root's, whoever the process is.
			info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", d.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
				t.Errorf("/proc/PID/environ is user %d's, want root's", owner)
			}
			if code := d.stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d: %s", code, d.log)
			}
			if n := strings.Count(d.log.String(), `"message":"gave up all privileges but those needed"`); n != 1 {
				t.Errorf("what is in force is said %d times, want once:\n%s", n, d.log)
			}
		})
	}
}

// ownGroups are the supplementary groups of the user 65534.
func ownGroups(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "id", "-G", "65534").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// The daemon can be left as it was started, to look for a fault.
func TestSandboxOff(t *testing.T) {
	own := ownThread(t)
	d := serve(t, "--sandbox", "off", "--bpf", "off")
	got := threads(t, d.cmd.Process.Pid)
	if diff := cmp.Diff(own, got); diff != "" {
		t.Errorf("threads (-this one +daemon):\n%s", diff)
	}
	_, _, metrics := d.get("/metrics")
	if n := strings.Count(metrics, "connectionsd_sandbox{"); n != 4 || strings.Contains(metrics, "connectionsd_sandbox{restriction=\"seccomp\"} 1") {
		t.Errorf("%d lines of connectionsd_sandbox, want 4 of 0:\n%s", n, metrics)
	}
	d.stop(syscall.SIGTERM)
	if !strings.Contains(d.log.String(), "the sandbox is off") {
		t.Errorf("the log does not say that the sandbox is off:\n%s", d.log)
	}
}

func TestUserErrors(t *testing.T) {
	for user, want := range map[string]string{
		"no-such-user": `connectionsd: --user no-such-user: there is no user "no-such-user": want the name or the number of one in /etc/passwd` + "\n",
		"4000000001":   "connectionsd: --user 4000000001: no user has the number 4000000001: want its group too, as in 4000000001:GROUP\n",
		"0:no-such":    `connectionsd: --user 0:no-such: there is no group "no-such": want the name or the number of one in /etc/group` + "\n",
	} {
		code, says := fails(t, command(t, "serve", "--bpf", "off", "--user", user))
		if code != 2 || says != want {
			t.Errorf("exit code %d, %q, want 2, %q", code, says, want)
		}
	}
	needsRootOfTheHost(t, "to be started as another user")
	cmd := command(t, "serve", "--bpf", "off", "--user", "root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	const want = "connectionsd: --user root: only root can become another user: start it as root, or as that user without --user\n"
	if code, says := fails(t, cmd); code != 2 || says != want {
		t.Errorf("exit code %d, %q, want 2, %q", code, says, want)
	}
}
