//go:build linux

package privilege

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What filesChild gets in its environment: a directory that may be read, one where a file may be removed, and the parent.
const (
	readableEnv  = "PRIVILEGE_TEST_READABLE"
	removableEnv = "PRIVILEGE_TEST_REMOVABLE"
)

func filesChild() (any, error) {
	readable, removable := os.Getenv(readableEnv), os.Getenv(removableEnv)
	version, err := RestrictFiles(Files{
		Read: []string{"/proc", readable}, Remove: []string{filepath.Join(removable, "socket")},
		Connect: []string{"/run/no-such-directory/no-such-socket"}, Ports: []uint16{9},
	})
	if errors.Is(err, ErrNoLandlock) {
		return map[string]string{"Landlock": "none"}, nil
	}
	if err != nil {
		return nil, err
	}
	done := make(map[string]string)
	note := func(what string, err error) {
		done[what] = "allowed"
		if errors.Is(err, os.ErrPermission) {
			done[what] = "denied"
		} else if err != nil {
			done[what] = err.Error()
		}
	}
	_, err = os.ReadFile(filepath.Join(readable, "file"))
	note("read a file", err)
	_, err = os.ReadDir(readable)
	note("list a directory", err)
	_, err = os.ReadFile(filepath.Join(removable, "file"))
	note("read another file", err)
	note("write a file", os.WriteFile(filepath.Join(readable, "file"), nil, 0o600))
	note("make a file", os.WriteFile(filepath.Join(removable, "new"), nil, 0o600))
	note("remove a file", os.Remove(filepath.Join(readable, "file")))
	note("remove what lies beside the socket", os.Remove(filepath.Join(removable, "file")))
	note("remove the socket", os.Remove(filepath.Join(removable, "socket")))
	note("execute a file", executable(os.StartProcess("/proc/self/exe", nil, &os.ProcAttr{})))
	parent := fmt.Sprintf("/proc/%d/", os.Getppid())
	for _, name := range []string{"comm", "cmdline", "cgroup", "stat"} {
		_, err = os.ReadFile(parent + name)
		note("another process's "+name, err)
	}
	_, err = os.Readlink(parent + "ns/net")
	note("another process's namespace", err)
	_, err = os.Readlink(parent + "fd/0")
	note("another process's descriptor", err)
	_, err = os.Readlink("/proc/self/fd/0")
	note("its own descriptor", err)
	if version >= 4 {
		var config net.ListenConfig
		config.SetMultipathTCP(false) // which Landlock knows nothing of
		listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err == nil {
			listener.Close()
		}
		note("bind a TCP port", err)
		for _, port := range []string{"9", "10"} { // nobody listens there
			_, err := new(net.Dialer).Dial("tcp4", "127.0.0.1:"+port)
			if errors.Is(err, unix.ECONNREFUSED) {
				err = nil
			}
			note("connect to port "+port, err)
		}
	}
	return done, nil
}

func executable(process *os.Process, err error) error {
	if err == nil {
		_, err = process.Wait()
	}
	return err
}

func TestRestrictFiles(t *testing.T) {
	version, err := llsyscall.LandlockGetABIVersion()
	if err != nil {
		t.Skipf("this kernel has no Landlock (%v): want one with CONFIG_SECURITY_LANDLOCK and landlock in lsm=", err)
	}
	readable, removable := t.TempDir(), t.TempDir()
	for _, path := range []string{readable + "/file", removable + "/file", removable + "/socket"} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got map[string]string
	child(t, "files", &got, readableEnv+"="+readable, removableEnv+"="+removable)
	const allowed, denied = "allowed", "denied"
	want := map[string]string{
		"read a file": allowed, "list a directory": allowed, "read another file": denied,
		"write a file": denied, "make a file": denied, "remove a file": denied, "remove what lies beside the socket": allowed, "remove the socket": allowed,
		"execute a file":         denied,
		"another process's comm": allowed, "another process's cmdline": allowed, "another process's cgroup": allowed, "another process's stat": allowed,
		"another process's namespace": denied, "another process's descriptor": denied, "its own descriptor": allowed,
	}
	if version >= 4 {
		want["bind a TCP port"] = denied
		want["connect to port 9"], want["connect to port 10"] = allowed, denied
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("version %d (-want +got):\n%s", version, diff)
	}
}

// A rule is of what is there: of a path that is not yet, the directory that it will be made in.
func TestExisting(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: dir, dir + "/file": dir + "/file", dir + "/a": dir, dir + "/a/b/c": dir, "/": "/", "/no-such-directory/a": "/",
	} {
		if got := existing(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Names in the abstract namespace are of no directory: they are allowed by not restricting them.
func TestRuleset(t *testing.T) {
	all, rules := ruleset(Files{Read: []string{"/proc"}, Remove: []string{"/run/a.sock"}, Connect: []string{"/run/b.sock"}})
	if all.Scoped&llsyscall.ScopeAbstractUnixSocket == 0 || len(rules) != 3 {
		t.Errorf("%v with %d rules, want abstract sockets restricted, 3 rules", all, len(rules))
	}
	abstract, rules := ruleset(Files{Connect: []string{"@notify"}})
	if abstract.Scoped != llsyscall.ScopeSignal || len(rules) != 0 {
		t.Errorf("%v with %d rules, want abstract sockets not restricted and signals, no rules", abstract, len(rules))
	}
	if text := fmt.Sprint(rules); strings.Contains(text, "notify") {
		t.Errorf("rules %s", text)
	}
}
