//go:build linux && interop

package interop_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nobody is the user with no rights.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// secret is a password that servers are told on their command lines.
const secret = "correct-horse-battery-staple"

// server is one that listens on a port of 127.0.0.1, which is not the one that
// it listens on as a rule.
type server struct {
	name string
	// command makes its command, with its files in a directory that is nobody's.
	command func(t *testing.T, dir string, port int) *exec.Cmd
	// What the daemon is to say of it. In cmd DIR and PORT stand for these.
	processName, label, icon, cmd string
}

// servers are the real ones of Debian's packages.
var servers = []server{
	{
		name: "Redis",
		command: func(t *testing.T, dir string, port int) *exec.Cmd {
			return program(t, "redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", dir, "--requirepass", secret)
		},
		processName: "redis-server", label: "Redis", icon: "redis",
		cmd: "redis-server 127.0.0.1:PORT", // the title that it gives itself
	},
	{
		name: "Redis without a title", command: redisWithSecret,
		processName: "redis-server", label: "Redis", icon: "redis",
		cmd: "redis-server --bind 127.0.0.1 --port PORT --dir DIR --set-proc-title no --requirepass ***",
	},
	{
		name: "PostgreSQL",
		command: func(t *testing.T, dir string, port int) *exec.Cmd {
			initdb := program(t, "initdb", "--pgdata", filepath.Join(dir, "data"), "--username", "postgres", "--auth", "trust", "--no-sync", "--no-locale")
			initdb.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
			initdb.Dir = dir
			if out, err := initdb.CombinedOutput(); err != nil {
				t.Fatalf("initdb: %v %s", err, out)
			}
			cmd := program(t, "postgres", "-D", filepath.Join(dir, "data"), "-p", fmt.Sprint(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody} // it refuses to be root
			return cmd
		},
		processName: "postgres", label: "PostgreSQL", icon: "postgres",
		cmd: "postgres -D DIR/data -p PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=",
	},
	{
		name: "nginx",
		command: func(t *testing.T, dir string, port int) *exec.Cmd {
			config := fmt.Sprintf("daemon off; pid %s/pid; user nobody nogroup; worker_processes 2; error_log stderr; events {}\n", dir)
			config += fmt.Sprintf("http { access_log off; server { listen 127.0.0.1:%d; }\n", port)
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				config += fmt.Sprintf("%s_temp_path %s/%[1]s;\n", kind, dir)
			}
			path := filepath.Join(dir, "nginx.conf")
			write(t, path, config+"}\n")
			return program(t, "nginx", "-e", "stderr", "-c", path)
		},
		processName: "nginx", label: "nginx", icon: "nginx",
		cmd: "nginx: master process nginx -e stderr -c DIR/nginx.conf",
	},
	{
		name: "sshd",
		command: func(t *testing.T, dir string, port int) *exec.Cmd {
			key := filepath.Join(dir, "key")
			keygen := program(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
			keygen.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
			if out, err := keygen.CombinedOutput(); err != nil {
				t.Fatalf("ssh-keygen: %v %s", err, out)
			}
			write(t, filepath.Join(dir, "config"), fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s\nPidFile none\nUsePAM no\n", port, key))
			cmd := program(t, "sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))
			cmd.Args[0] = cmd.Path                                     // it starts itself again
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody} // root's would need a directory in /run
			return cmd
		},
		processName: "sshd", label: "SSH", icon: "ssh",
		cmd: "sshd: SSHD -D -e -f DIR/config [listener] N of 10-100 startups",
	},
	{
		name: "Node.js",
		command: func(t *testing.T, dir string, port int) *exec.Cmd {
			script := filepath.Join(dir, "server.js")
			write(t, script, "require('net').createServer().listen(process.argv[2], '127.0.0.1')\n")
			return program(t, "node", script, fmt.Sprint(port))
		},
		processName: "node", label: "Node.js", icon: "node",
		cmd: "node DIR/server.js PORT",
	},
}

func redisWithSecret(t *testing.T, dir string, port int) *exec.Cmd {
	return program(t, "redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", dir, "--set-proc-title", "no", "--requirepass", secret)
}

// program is a command of a package that setup has installed. PostgreSQL's are
// in a directory of their own.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(name)
	if len(found) > 0 {
		path = found[len(found)-1]
	} else if err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Args[0] = name
	return cmd
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nobodysDir is a directory of nobody's, which is there until the test ends.
func nobodysDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(dir, int(nobody.Uid), int(nobody.Gid)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run starts the server.
func (s server) run(t *testing.T, dir string, port int) {
	t.Helper()
	cmd := s.command(t, dir, port)
	cmd.Dir = dir
	start(t, cmd, filepath.Join(t.TempDir(), "server.log"))
}

// startups is what sshd counts in its title: the connections before their login.
var startups = regexp.MustCompile(`\d+ of 10-100 startups`)

// TestServers looks at servers as people run them.
func TestServers(t *testing.T) {
	dirs, ports := make([]string, len(servers)), make([]int, len(servers))
	for i, s := range servers {
		dirs[i], ports[i] = nobodysDir(t), freePort(t)
		s.run(t, dirs[i], ports[i])
	}
	for _, port := range ports {
		waitListens(t, join("127.0.0.1", port))
	}
	c := newClient(t, serve(t).url)
	self, _ := netNS(t, os.Getpid())
	for i, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			conn := connect(t, join("127.0.0.1", ports[i]))
			got := c.sockets(t).only(t, ports[i])
			checkComm(t, got.PID, s.processName)
			sshd := ""
			if s.processName == "sshd" {
				sshd = program(t, "sshd").Path
			}
			want := listener{
				PID: got.PID, ProcessName: s.processName, ServiceLabel: s.label, ProcessIconType: s.icon,
				Address: "127.0.0.1", AddressDescription: "Localhost only (IPv4)", Port: ports[i],
				Cmd:    strings.NewReplacer("DIR", dirs[i], "PORT", fmt.Sprint(ports[i]), "SSHD", sshd).Replace(s.cmd),
				Socket: socket{NetNS: self, PID: got.PID, ProcessName: s.processName},
			}
			got.Cmd = startups.ReplaceAllString(got.Cmd, "N of 10-100 startups")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("listener (-want +got):\n%s", diff)
			}
			s.checkFlows(t, c, conn, self)
		})
	}
}

// checkFlows checks both ends of a connection of the test with the server.
func (s server) checkFlows(t *testing.T, c *client, conn net.Conn, netns uint32) {
	t.Helper()
	ours, theirs := c.ends(t, conn)
	if want := flowOf(t, conn, s.label, netns); !cmp.Equal(want, ours) {
		t.Errorf("the test's end (-want +got):\n%s", cmp.Diff(want, ours))
	}
	checkComm(t, theirs.FromPID, s.processName)
	theirs.ToLabel = "" // the port that the test was given may have a name
	want := flow{
		FromPID: theirs.FromPID, FromProcessName: s.processName, FromAddress: ours.ToAddress, FromPort: ours.ToPort,
		ToAddress: ours.FromAddress, ToPort: ours.FromPort,
		Socket: socket{NetNS: netns, PID: theirs.FromPID, ProcessName: s.processName},
	}
	if diff := cmp.Diff(want, theirs); diff != "" {
		t.Errorf("the server's end (-want +got):\n%s", diff)
	}
	checkRecord(t, c, ours, false)
	checkRecord(t, c, theirs, true)
}

// checkComm checks the name of a process.
func checkComm(t *testing.T, pid int, want string) {
	t.Helper()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || string(comm) != want+"\n" {
		t.Errorf("process %d is %q, want %s: %v", pid, comm, want, err)
	}
}

// TestCommandLines tells a server its password as one should not.
func TestCommandLines(t *testing.T) {
	dir, port := nobodysDir(t), freePort(t)
	start(t, redisWithSecret(t, dir, port), filepath.Join(t.TempDir(), "redis.log"))
	waitListens(t, join("127.0.0.1", port))
	common := fmt.Sprintf("redis-server --bind 127.0.0.1 --port %d --dir %s --set-proc-title no --requirepass ", port, dir)
	for _, test := range []struct {
		name string
		args []string
		cmd  string
	}{
		{"by default", nil, common + "***"},
		{"redacted", []string{"--cmdline", "redacted"}, common + "***"},
		{"full", []string{"--cmdline", "full"}, common + secret},
		{"off", []string{"--cmdline", "off"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, serve(t, test.args...).url)
			got := c.sockets(t).only(t, port)
			if want := []string{"redis-server", "Redis", "redis", test.cmd}; !slices.Equal(want, []string{got.ProcessName, got.ServiceLabel, got.ProcessIconType, got.Cmd}) {
				t.Errorf("%+v, want %q", got, want)
			}
			_, text := c.get(t, "/api/connections?extended=true")
			if shown := strings.Contains(string(text), secret); shown != (test.name == "full") {
				t.Errorf("the answer has the password: %v", shown)
			}
			if named := strings.Contains(string(text), `"cmd"`); named != (test.cmd != "") {
				t.Errorf("the answer has the member cmd: %v", named)
			}
		})
	}
}
