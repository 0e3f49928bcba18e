//go:build linux

package daemon_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// passed makes a daemon's command line run as systemd would run it with these sockets.
func passed(t *testing.T, sockets []*os.File, args ...string) *daemon {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--bpf", "off", "--log-format", "json"}, args...)...)
	// LISTEN_PID has to be the number of the process, which only that knows.
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = sockets
	cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES=connectionsd.socket")
	return start(t, cmd)
}

// fileOf returns the descriptor of a listener, to be passed on.
func fileOf(t *testing.T, listener interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// The sockets that systemd passes are served in place of the TCP port. They are systemd's: a socket file stays.
func TestSocketActivation(t *testing.T) {
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket := filepath.Join(t.TempDir(), "c.sock")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	own := filepath.Join(t.TempDir(), "own.sock")
	d := passed(t, []*os.File{fileOf(t, tcp), fileOf(t, unix)}, "--unix-socket", own)
	if want := "http://" + tcp.Addr().String(); d.url != want {
		t.Errorf("it says %s, want %s", d.url, want)
	}
	if status, _, body := d.get("/get_connections"); status != http.StatusOK {
		t.Errorf("by TCP: status %d: %s", status, body)
	}
	for _, path := range []string{socket, own} {
		if status, body := getUnix(t, path, "/get_connections"); status != http.StatusOK {
			t.Errorf("at %s: status %d: %s", path, status, body)
		}
	}
	d.stop(syscall.SIGTERM)
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the file of systemd's socket: %v", err)
	}
	if _, err := os.Lstat(own); !os.IsNotExist(err) {
		t.Errorf("the daemon's own file: %v", err)
	}
}

func TestSocketActivationErrors(t *testing.T) {
	external, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4zero})
	if err != nil {
		t.Fatal(err)
	}
	defer external.Close()
	datagrams, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "d.sock"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, test := range []struct {
		name string
		file *os.File
		code int
		want string
	}{
		{
			"another address", fileOf(t, external), 2,
			"the socket connectionsd.socket that systemd passes listens on " + external.Addr().String() + ", which is no loopback address, and no login, " +
				"token or client certificate protects it: want one of them, or --confirm-external-bind",
		},
		{
			"datagrams", fileOf(t, datagrams), 1,
			"take the socket connectionsd.socket that systemd passes: it is not one that listens: want ListenStream= in the socket unit",
		},
		{"no socket", plain, 1, "take the socket connectionsd.socket that systemd passes: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := command(t, "serve", "--bpf", "off")
			cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
			cmd.ExtraFiles = []*os.File{test.file}
			cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=connectionsd.socket")
			code, says := fails(t, cmd)
			if code != test.code || !strings.Contains(says, "connectionsd: "+test.want) {
				t.Errorf("exit code %d, %q, want %d, %q", code, says, test.code, test.want)
			}
		})
	}
	d := passed(t, []*os.File{fileOf(t, external)}, "--confirm-external-bind")
	if status, _, body := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("confirmed: status %d: %s", status, body)
	}
}

// That secrets cross the network in clear is said of a socket that systemd passes too: as soon as it is so, and once for as long.
func TestSocketActivationWarns(t *testing.T) {
	external, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4zero})
	if err != nil {
		t.Fatal(err)
	}
	defer external.Close()
	conf := filepath.Join(t.TempDir(), "c.conf")
	write := func(text string) {
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("access-token=token-of-the-test-a")
	d := passed(t, []*os.File{fileOf(t, external)}, "--config-file", conf)
	for _, next := range []struct{ conf, path string }{
		{"access-token=token-of-the-test-b", "/token-of-the-test-b/get_connections"},
		{"confirm-external-bind=1", "/get_connections"},
		{"access-token=token-of-the-test-c", "/token-of-the-test-c/get_connections"},
	} {
		write(next.conf)
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			status, _, _ := d.get(next.path)
			if status == http.StatusOK {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after SIGHUP with %s: status %d, want 200", next.conf, status)
			}
		}
	}
	d.stop(syscall.SIGTERM)
	if n := strings.Count(d.log.String(), `"warning":"without TLS, tokens and answers cross the network in clear`); n != 2 {
		t.Errorf("%d warnings, want 2, at the start and at the last SIGHUP:\n%s", n, d.log)
	}
}

// notifications listens where systemd would.
type notifications struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenNotify(t *testing.T, name string) notifications {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return notifications{t, conn}
}

// next waits for what the daemon tells.
func (n notifications) next() string {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		n.t.Fatal(err)
	}
	buf := make([]byte, 256)
	length, err := n.conn.Read(buf)
	if err != nil {
		n.t.Fatalf("systemd is told nothing: %v", err)
	}
	return string(buf[:length])
}

// systemd hears that the daemon is ready, lives and stops, in the sandbox too.
func TestNotify(t *testing.T) {
	for _, test := range []struct {
		name, socket string
		args         []string
		host         bool
	}{
		{name: "a file", socket: filepath.Join(t.TempDir(), "notify"), args: []string{"--bpf", "off"}},
		{name: "a file, from a Landlock domain", socket: filepath.Join(t.TempDir(), "notify"), args: []string{"--bpf", "on"}, host: true},
		{name: "an abstract name, from a Landlock domain", socket: "@connectionsd-test-notify", args: []string{"--bpf", "on"}, host: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host {
				needsRootOfTheHost(t, "BPF")
			}
			systemd := listenNotify(t, test.socket)
			cmd := command(t, append([]string{"serve", "--rpc-bind-port", "0", "--netns", "self"}, test.args...)...)
			cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+test.socket, "WATCHDOG_USEC=400000")
			d := start(t, cmd)
			for i, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
				if got := systemd.next(); got != want {
					t.Errorf("message %d: %q, want %q", i+1, got, want)
				}
			}
			if status, _, body := d.get("/readyz"); status != http.StatusOK {
				t.Errorf("/readyz: status %d after READY=1: %s", status, body)
			}
			if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			last := systemd.next()
			for last == "WATCHDOG=1" {
				last = systemd.next()
			}
			if last != "STOPPING=1" {
				t.Errorf("after SIGTERM: %q, want STOPPING=1", last)
			}
		})
	}
	t.Run("a wrong watchdog", func(t *testing.T) {
		cmd := command(t, "serve", "--bpf", "off")
		cmd.Env = append(cmd.Env, "WATCHDOG_USEC=soon")
		if code, says := fails(t, cmd); code != 2 || !strings.HasPrefix(says, "connectionsd: WATCHDOG_USEC: ") {
			t.Errorf("exit code %d, %q, want 2 and the variable", code, says)
		}
	})
}
