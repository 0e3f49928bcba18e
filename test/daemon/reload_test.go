//go:build linux

package daemon_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/icholy/digest"
)

// reloadable is a daemon whose settings are in files of a directory.
type reloadable struct {
	*daemon
	directory string
	systemd   notifications
	address   string
}

// serveFrom starts a daemon that reads settings, by the name of a file, and waits until it is ready. Its configuration file
// is called conf.
func serveFrom(t *testing.T, settings map[string]string, args ...string) *reloadable {
	t.Helper()
	return serveFromAs(t, nil, settings, args...)
}

// serveFromAs does so as another user, who may read the files that are there at the start.
func serveFromAs(t *testing.T, as *syscall.Credential, settings map[string]string, args ...string) *reloadable {
	t.Helper()
	r := &reloadable{directory: t.TempDir()}
	r.write(t, settings)
	if as != nil {
		for _, directory := range []string{filepath.Dir(r.directory), r.directory} {
			if err := os.Chmod(directory, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name := range settings {
			if err := os.Chown(filepath.Join(r.directory, name), int(as.Uid), int(as.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	socket := fmt.Sprintf("@connectionsd-test-reload-%d", os.Getpid())
	r.systemd = listenNotify(t, socket)
	cmd := command(t, append([]string{"serve", "--log-format", "json", "--config-file", filepath.Join(r.directory, "conf")}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Dir = r.directory
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket)
	r.daemon = start(t, cmd)
	_, rest, _ := strings.Cut(r.example, "://")
	r.address, _, _ = strings.Cut(rest, "/")
	if got := r.systemd.next(); got != "READY=1" {
		t.Fatalf("systemd is told %q, want READY=1", got)
	}
	return r
}

// write replaces files, as an editor does: by others of their names.
func (r *reloadable) write(t *testing.T, settings map[string]string) {
	t.Helper()
	for name, content := range settings {
		path := filepath.Join(r.directory, name)
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// reload replaces files, sends SIGHUP, and returns once the daemon says that this is over.
func (r *reloadable) reload(t *testing.T, settings map[string]string) {
	t.Helper()
	r.write(t, settings)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := r.systemd.next(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("after SIGHUP systemd is told %q, want RELOADING=1 and MONOTONIC_USEC=", got)
	}
	if got := r.systemd.next(); got != "READY=1" {
		t.Errorf("after that systemd is told %q, want READY=1", got)
	}
}

// status is that of a GET on a connection of its own, with a login unless that is "".
func (r *reloadable) status(t *testing.T, path, login string) int {
	t.Helper()
	plain := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer plain.CloseIdleConnections()
	client := &http.Client{Transport: plain}
	if user, password, ok := strings.Cut(login, ":"); ok {
		client.Transport = &digest.Transport{Username: user, Password: password, Transport: plain}
	}
	scheme := "http"
	if strings.Contains(r.example, "https://") {
		scheme = "https"
	}
	target := url.URL{Scheme: scheme, Host: r.address, Path: path}
	response, err := client.Get(target.String())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// wantStatus holds status against what is wanted, by path and login.
func (r *reloadable) wantStatus(t *testing.T, when string, want map[[2]string]int) {
	t.Helper()
	for of, want := range want {
		if got := r.status(t, of[0], of[1]); got != want {
			t.Errorf("%s: %s with the login %q: status %d, want %d", when, of[0], of[1], got, want)
		}
	}
}

// reloads ends the daemon and returns what it has logged of reloads.
func (r *reloadable) reloads(t *testing.T) []map[string]any {
	t.Helper()
	if code := r.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0; it said: %s", code, r.log)
	}
	var events []map[string]any
	for line := range strings.Lines(r.log.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch event["message"] {
		case readAgain, isWrong, takesRestart:
			delete(event, "time")
			events = append(events, event)
		}
	}
	return events
}

const (
	readAgain    = "the configuration was read again"
	isWrong      = "the configuration that was read again is wrong: all stays as it was"
	takesRestart = "some of what has changed takes a restart"
)

// keyPair returns a certificate for 127.0.0.1 that is called name, and its key, in PEM.
func keyPair(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// dial opens a connection and returns it with the name on the certificate that it was shown.
func (r *reloadable) dial(t *testing.T) (*tls.Conn, string) {
	t.Helper()
	conn, err := tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// ask sends a GET on a connection that is open and returns the status.
func ask(t *testing.T, conn net.Conn, path string) int {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// At SIGHUP the daemon goes on by what its files say now, whatever it has given up since its start.
func TestReload(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		host bool // it takes root of the host
	}{
		{name: "in the sandbox", args: []string{"--bpf", "off"}},
		{name: "outside of it", args: []string{"--bpf", "off", "--sandbox", "off"}},
		{name: "in a Landlock domain", args: []string{"--bpf", "on"}, host: true},
		{name: "as another user", args: []string{"--bpf", "off", "--user", "65534:65534"}, host: true},
		{name: "as another user, in a Landlock domain", args: []string{"--bpf", "on", "--user", "65534:65534"}, host: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host {
				needsRootOfTheHost(t, "BPF, and to be another user,")
			}
			testReload(t, test.args)
		})
	}
}

func testReload(t *testing.T, args []string) {
	const a, b, c = "token-of-the-test-a", "token-of-the-test-b", "token-of-the-test-c"
	const common = "rpc-ssl-certificate=cert.pem\nrpc-ssl-private-key=key.pem\n"
	path := func(token string) string { return "/" + token + "/api/connections" }
	cert1, key1 := keyPair(t, "first")
	cert2, key2 := keyPair(t, "second")
	d := serveFrom(t, map[string]string{
		"conf": "rpc-bind-port=0\naccess-token=" + a + "\n" + common, "cert.pem": cert1, "key.pem": key1,
	}, args...)
	d.wantStatus(t, "at first", map[[2]string]int{{path(a)}: 200, {path(b)}: 404})
	left := threads(t, d.cmd.Process.Pid)
	old, name := d.dial(t)
	if name != "first" {
		t.Errorf("the certificate is called %s, want first", name)
	}

	// A token, a login and a certificate that are new; a port that cannot be.
	d.reload(t, map[string]string{
		"conf":  "rpc-bind-port=18081\nheight=7\naccess-token=" + b + "\nrpc-login-file=login\nlog-level=debug\naccess-log=all\n" + common,
		"login": "user:hunter2\n", "cert.pem": cert2, "key.pem": key2,
	})
	d.wantStatus(t, "after the first reload", map[[2]string]int{{path(a)}: 404, {path(b)}: 401, {path(b), "user:hunter2"}: 200})
	if _, name := d.dial(t); name != "second" {
		t.Errorf("the certificate of a new connection is called %s, want second", name)
	}
	for token, want := range map[string]int{a: 404, b: 401} {
		if got := ask(t, old, path(token)); got != want {
			t.Errorf("on the old connection: %s: status %d, want %d", token, got, want)
		}
	}

	// What is wrong changes nothing, in any of the files.
	d.reload(t, map[string]string{"conf": "rpc-bind-port=18081\naccess-token=" + c + "\nrate-burst=0\nrpc-login-file=login\n" + common})
	d.reload(t, map[string]string{"conf": "rpc-bind-port=0\naccess-token=" + c + "\nrpc-login-file=login\n" + common, "cert.pem": cert1})
	d.reload(t, map[string]string{"cert.pem": cert2, "login": "no colon"})
	d.wantStatus(t, "after files that are wrong", map[[2]string]int{{path(c)}: 404, {path(b)}: 401, {path(b), "user:hunter2"}: 200})

	// The login alone, by the content of its file.
	d.reload(t, map[string]string{
		"conf": "rpc-bind-port=0\naccess-token=" + b + "\nrpc-login-file=login\n" + common, "login": "user:hunter3\n",
	})
	d.wantStatus(t, "with another password", map[[2]string]int{{path(b), "user:hunter2"}: 401, {path(b), "user:hunter3"}: 200})

	// The rate, and no login any more.
	d.reload(t, map[string]string{"conf": "rpc-bind-port=0\naccess-token=" + b + "\nrate-limit=0.001\nrate-burst=2\nrpc-max-connections=10\n" + common})
	for i, want := range []int{200, 200, 429} {
		if got := d.status(t, path(b), ""); got != want {
			t.Errorf("request %d of those that the rate lets pass: status %d, want %d", i+1, got, want)
		}
	}

	// Nothing.
	d.reload(t, nil)
	if diff := cmp.Diff(left, threads(t, d.cmd.Process.Pid)); diff != "" {
		t.Errorf("privileges after the reloads (-at first +now):\n%s", diff)
	}

	events := d.reloads(t)
	in := func(name string) string { return filepath.Join(d.directory, name) }
	want := []map[string]any{
		{"level": "info", "message": readAgain, "changed": []any{
			"rpc-login-file", "access-token", "log-level", "access-log", "rpc-ssl-certificate", "rpc-ssl-private-key",
		}},
		{"level": "warn", "message": takesRestart, "keys": []any{"rpc-bind-port", "height"}},
		{"level": "error", "message": isWrong, "error": in("conf") + `:3 rate-burst "0": want a whole number from 1 to 2147483647`},
		{
			"level": "error", "message": isWrong,
			"error": "--rpc-ssl-certificate cert.pem, --rpc-ssl-private-key key.pem: tls: private key does not match public key",
		},
		{
			"level": "error", "message": isWrong,
			"error": in("conf") + ":3 rpc-login-file: the first line of login: the login has no colon: want USER:PASSWORD",
		},
		{"level": "info", "message": readAgain, "changed": []any{"rpc-login-file", "log-level", "access-log"}},
		{"level": "info", "message": readAgain, "changed": []any{"rpc-login", "rpc-login-file", "rate-limit", "rate-burst", "rpc-max-connections"}},
		{"level": "info", "message": readAgain, "changed": []any{}},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := strings.Count(d.log.String(), `"path":"/api/connections","status":200,`); n != 2 {
		t.Errorf("%d requests are logged as answered, want the 2 with the login while access-log was all", n)
	}
	for _, secret := range []string{a, b, c, "hunter"} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("%s is in the log: %s", secret, d.log)
		}
	}
}

// What the daemon may not read any more is said, with why, and nothing changes.
func TestReloadOfWhatMayNotBeRead(t *testing.T) {
	needsRootOfTheHost(t, "BPF, and to be another user,")
	const token, other = "token-of-the-test-a", "token-of-the-test-b"
	elsewhere := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(elsewhere, []byte("user:hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const reason = ": permission denied: since its start the daemon is user %d and may read only what is in the directories of the files that it was " +
		"started with: let that user read the file there, or restart the daemon"
	for _, test := range []struct {
		name, conf string
		as         *syscall.Credential
		args       []string
		want       func(conf string) string
	}{
		{
			name: "another user's file", conf: "access-token=" + other, as: &syscall.Credential{Uid: 65534, Gid: 65534}, args: []string{"--bpf", "off"},
			want: func(conf string) string { return "--config-file: open " + conf + fmt.Sprintf(reason, 65534) },
		},
		{
			name: "a file elsewhere, from a Landlock domain", conf: "rpc-login-file=" + elsewhere, args: []string{"--bpf", "on"},
			want: func(conf string) string {
				return conf + ":1 rpc-login-file: open " + elsewhere + fmt.Sprintf(reason, 0)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := serveFromAs(t, test.as, map[string]string{"conf": "rpc-bind-port=0\naccess-token=" + token}, test.args...)
			d.reload(t, map[string]string{"conf": test.conf})
			d.wantStatus(t, "after the reload", map[[2]string]int{{"/" + token + "/get_connections"}: 200, {"/" + other + "/get_connections"}: 404})
			want := []map[string]any{{"level": "error", "message": isWrong, "error": test.want(filepath.Join(d.directory, "conf"))}}
			if diff := cmp.Diff(want, d.reloads(t)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// What others could reach without credentials after a reload stays as it was.
func TestReloadKeepsTheDoorShut(t *testing.T) {
	d := serveFrom(t, map[string]string{"conf": "rpc-bind-ip=0.0.0.0\nrpc-bind-port=0\naccess-token=token-of-the-test-a"}, "--bpf", "off")
	d.reload(t, map[string]string{"conf": "rpc-bind-port=0"})
	_, port, err := net.SplitHostPort(d.address)
	if err != nil {
		t.Fatal(err)
	}
	d.wantStatus(t, "after the reload", map[[2]string]int{{"/get_connections"}: 404, {"/token-of-the-test-a/get_connections"}: 200})
	d.reload(t, map[string]string{"conf": "rpc-bind-port=0\nconfirm-external-bind=1"})
	d.wantStatus(t, "once that is confirmed", map[[2]string]int{{"/get_connections"}: 200, {"/token-of-the-test-a/get_connections"}: 404})
	want := []map[string]any{
		{"level": "error", "message": isWrong, "error": "the daemon listens on 0.0.0.0:" + port + ", which is no loopback address, and no login, token or " +
			"client certificate would protect it any more: want one of them, or --confirm-external-bind"},
		{"level": "info", "message": readAgain, "changed": []any{"confirm-external-bind", "access-token"}},
		{"level": "warn", "message": takesRestart, "keys": []any{"rpc-bind-ip"}},
	}
	events := d.reloads(t)
	for _, event := range events { // with IPv6 the one listener is for both
		if text, ok := event["error"].(string); ok {
			event["error"] = strings.Replace(text, "[::]", "0.0.0.0", 1)
		}
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// SIGHUP ends the daemon neither before it is ready nor while it stops.
func TestHangupAtAnyTime(t *testing.T) {
	d := serve(t, "--bpf", "off")
	hangup := func() {
		t.Helper()
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		hangup()
	}
	conn, err := net.Dial("tcp4", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /get_connections HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v, want 100 Continue", line, err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hangup()
	if _, err := io.WriteString(conn, "{}"); err != nil {
		t.Fatal(err)
	}
	hangup()
	rest, err := io.ReadAll(answer)
	if err != nil || !strings.Contains(string(rest), `"status":"OK"`) {
		t.Errorf("the request in flight got %q, %v", rest, err)
	}
	for {
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			break // it has ended
		}
	}
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0; it said: %s", code, d.log)
	}
}
