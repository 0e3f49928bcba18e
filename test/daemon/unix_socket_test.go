//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// getUnix returns the status and the body of a GET over a unix socket.
func getUnix(t *testing.T, socket, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// The socket file asks for the token and the login too, and for no certificate, since it is not TLS.
func TestUnixSocketAsksForSecrets(t *testing.T) {
	const token = "token-of-the-test-x"
	socket := filepath.Join(t.TempDir(), "c.sock")
	cert, key := keyPair(t, "daemon")
	serveFrom(t, map[string]string{
		"conf": "rpc-bind-port=0\naccess-token=" + token + "\nrpc-login-file=login\n" +
			"rpc-ssl-certificate=cert.pem\nrpc-ssl-private-key=key.pem\nrpc-ssl-ca-certificates=cert.pem\n",
		"login": "user:hunter2\n", "cert.pem": cert, "key.pem": key,
	}, "--bpf", "off", "--unix-socket", socket)
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/api/connections": http.StatusNotFound, "/metrics": http.StatusNotFound,
		"/" + token + "/api/connections": http.StatusUnauthorized, "/" + token + "/metrics": http.StatusUnauthorized,
	} {
		if status, body := getUnix(t, socket, path); status != want {
			t.Errorf("%s: status %d, want %d: %s", path, status, want, body)
		}
	}
}

// All that is served by TCP is served at the socket file, which is there as long as the daemon.
func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "c.sock")
	d := serve(t, "--bpf", "off", "--unix-socket", socket)
	info, err := os.Lstat(socket)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Fatalf("the file: %v, %v, want Srw-rw----", info, err)
	}
	for _, path := range []string{"/get_connections", "/api/connections", "/get_info", "/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		if status, body := getUnix(t, socket, path); status != http.StatusOK {
			t.Errorf("%s at the socket: status %d: %s", path, status, body)
		}
		if status, _, body := d.get(path); status != http.StatusOK {
			t.Errorf("%s by TCP: status %d: %s", path, status, body)
		}
	}

	code, says := fails(t, command(t, "serve", "--bpf", "off", "--rpc-bind-port", "0", "--unix-socket", socket))
	want := "connectionsd: listen on " + socket + ": somebody else listens there: choose another with --unix-socket\n"
	if code != 1 || !strings.HasSuffix(says, want) {
		t.Errorf("a second daemon: exit code %d, %q, want 1, %q at the end", code, says, want)
	}
	if status, _ := getUnix(t, socket, "/healthz"); status != http.StatusOK {
		t.Errorf("status %d after the second daemon", status)
	}

	d.stop(syscall.SIGKILL)
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("the file of a killed daemon: %v", err)
	}
	d = serve(t, "--bpf", "off", "--unix-socket", socket)
	if status, _ := getUnix(t, socket, "/healthz"); status != http.StatusOK {
		t.Errorf("status %d after a killed daemon", status)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the file after the end: %v", err)
	}
}

// A socket file can do without TCP, and without the TLS of what does listen there.
func TestUnixSocketAlone(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "it's.sock")
	d := serve(t, "--bpf", "off", "--rpc-bind-ip", "none", "--unix-socket", socket)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", d.example).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"status":"OK"`) {
		t.Errorf("%s: %s, %v", d.example, out, err)
	}
	status, body := getUnix(t, socket, "/api/connections")
	if status != http.StatusOK || strings.Contains(body, fmt.Sprintf(`"pid":%d,`, d.cmd.Process.Pid)) {
		t.Errorf("status %d, want 200 and no TCP listener of the daemon: %s", status, body)
	}

	const want = "connectionsd: --rpc-bind-ip none: there is nothing to listen on: want --unix-socket with it, or an IP address\n"
	if code, says := fails(t, command(t, "serve", "--bpf", "off", "--rpc-bind-ip", "none")); code != 2 || !strings.HasSuffix(says, want) {
		t.Errorf("nothing to listen on: exit code %d, %q, want 2, %q", code, says, want)
	}
}

// The file is the user's whom the daemon becomes, and the group's.
func TestUnixSocketOfAnotherUser(t *testing.T) {
	needsRootOfTheHost(t, "to become another user")
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "c.sock")
	// In a Landlock domain, where the directory has to be named to remove the file.
	d := serve(t, "--bpf", "on", "--netns", "self", "--unix-socket", socket, "--user", "65534:65533")
	info, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); info.Mode() != os.ModeSocket|0o660 || stat.Uid != 65534 || stat.Gid != 65533 {
		t.Errorf("%v of %d:%d, want Srw-rw---- of 65534:65533", info.Mode(), stat.Uid, stat.Gid)
	}
	if status, body := getUnix(t, socket, "/get_connections"); status != http.StatusOK {
		t.Errorf("status %d: %s", status, body)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the file after the end: %v", err)
	}
}
