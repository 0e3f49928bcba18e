//go:build linux

package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fails runs the program and returns its exit code and what it says.
func fails(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v, want it to fail", err)
	}
	return exit.ExitCode(), stderr.String()
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	code, says := fails(t, command(t, "serve", "--bpf", "off", "--rpc-bind-port", port))
	want := "connectionsd: listen on 127.0.0.1:" + port + ": the port is in use (a monerod here would hold 18081): choose another with --rpc-bind-port\n"
	if code != 1 || says != want {
		t.Errorf("exit code %d, %q, want 1, %q", code, says, want)
	}
}

// What is wrong with the configuration is said with its origin, its value and
// what would be right.
func TestBadConfiguration(t *testing.T) {
	file := t.TempDir() + "/connectionsd.conf"
	if err := os.WriteFile(file, []byte("# a comment\nrate-burst=0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"flag":     {args: []string{"--rpc-bind-port", "99999"}, want: `--rpc-bind-port "99999": want`},
		"variable": {env: "CONNECTIONSD_HEIGHT=tall", want: `CONNECTIONSD_HEIGHT "tall": want`},
		"file":     {args: []string{"--config-file", file}, want: file + `:2 rate-burst "0": want`},
		"external": {args: []string{"--rpc-bind-ip", "0.0.0.0"}, want: "--confirm-external-bind"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, append([]string{"serve"}, test.args...)...)
			cmd.Env = append(cmd.Env, test.env)
			code, says := fails(t, cmd)
			if code != 2 || !strings.Contains(says, test.want) {
				t.Errorf("exit code %d, %q, want 2 and %q in it", code, says, test.want)
			}
		})
	}
}

// SIGTERM lets requests in flight end, and leaves with 0.
func TestSIGTERM(t *testing.T) {
	d := serve(t)
	// A request whose body is still on its way.
	c, err := net.Dial("tcp4", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"jsonrpc":"2.0","id":1,"method":"get_connections"}`
	if _, err := fmt.Fprintf(c, "POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf) // the daemon reads the body now
	if err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 100") {
		t.Fatalf("%q, %v, want 100 Continue", buf[:n], err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused := false
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if probe, err := net.Dial("tcp4", strings.TrimPrefix(d.url, "http://")); err != nil {
			refused = true
			break
		} else {
			probe.Close()
		}
	}
	if !refused {
		t.Error("new connections are still accepted after SIGTERM")
	}
	if _, err := c.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64<<10)
	n, err = c.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200 OK") || !strings.Contains(string(answer[:n]), `"status":"OK"`) {
		t.Errorf("the request in flight got %q, %v", answer[:n], err)
	}
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0; it said: %s", code, d.log)
	}
}

// As an ordinary user the daemon runs, says once what it does without, and
// shows it.
func TestWithoutPrivilege(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("want user 0, if only of a user namespace")
	}
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Fields(string(b))[2] == "1" {
		t.Log("this user namespace has one user: the daemon cannot be run as another")
		return
	}
	d := serveAs(t, &syscall.Credential{Uid: 65534, Gid: 65534})
	opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
	for range 3 {
		ofRemote(t, d.connections(`{}`), opener.RemoteAddr().String())
		if status, _, _ := d.get("/api/connections"); status != http.StatusOK {
			t.Errorf("/api/connections: status %d", status)
		}
	}
	status, _, body := d.get("/readyz")
	lacks := []struct{ feature, reason string }{
		{"owners", "the owners of other users' sockets stay unknown without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"},
		{"containers", "containers are told by their processes alone without CAP_DAC_READ_SEARCH"},
		{"bpf", "owners cannot be found by BPF: the kernel runs no BPF program for this process without CAP_BPF and CAP_PERFMON"},
	}
	var degraded []string
	_, _, metrics := d.get("/metrics")
	for _, lack := range lacks {
		degraded = append(degraded, fmt.Sprintf(`{"feature":%q,"reason":%q}`, lack.feature, lack.reason))
		if !strings.Contains(metrics, fmt.Sprintf("connectionsd_degraded{feature=%q} 1\n", lack.feature)) {
			t.Errorf("/metrics does not say that %s are missing", lack.feature)
		}
	}
	if want := `{"status":"ready","degraded":[` + strings.Join(degraded, ",") + `]}`; status != http.StatusOK || body != want {
		t.Errorf("/readyz: %d %s, want 200 %s", status, body, want)
	}
	d.stop(syscall.SIGTERM)
	warnings := make(map[string]int)
	for line := range strings.Lines(d.log.String()) {
		var event struct{ Level, Feature string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if event.Level == "warn" {
			warnings[event.Feature]++
		}
	}
	if warnings["owners"] != 1 || warnings["containers"] != 1 || warnings["bpf"] != 1 || len(warnings) != 3 {
		t.Errorf("warnings by feature %v, want one of each:\n%s", warnings, d.log)
	}
}

// Past its rate a client gets 429 on both faces, and not on those of health.
func TestRateLimit(t *testing.T) {
	d := serve(t, "--rate-limit", "0.01", "--rate-burst", "3")
	d.connections(`{}`)
	d.connections(`{}`)
	if status, _, _ := d.get("/api/connections"); status != http.StatusOK {
		t.Errorf("status %d within the burst", status)
	}
	status, header, body := d.get("/api/connections")
	if status != http.StatusTooManyRequests || body != `{"error":"Too Many Requests"}` || header.Get("Retry-After") == "" {
		t.Errorf("REST: %d %s, Retry-After %q", status, body, header.Get("Retry-After"))
	}
	response, err := http.Post(d.url+"/json_rpc", "", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"get_connections"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" ||
		b.String() != `{"error":{"code":429,"message":"Too Many Requests"},"id":null,"jsonrpc":"2.0"}` {
		t.Errorf("JSON-RPC: %d %s, Retry-After %q", response.StatusCode, b.String(), response.Header.Get("Retry-After"))
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, _, _ := d.get(path); status != http.StatusOK {
			t.Errorf("%s: status %d, want 200", path, status)
		}
	}
}

// Who is not let in is counted, by why.
func TestRefusalsAreCounted(t *testing.T) {
	d := serve(t)
	for range 2 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/api/connections", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "evil.example"
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("status %d, want 403", response.StatusCode)
		}
	}
	_, _, metrics := d.get("/metrics")
	for reason, want := range map[string]int{"host": 2, "token": 0, "login": 0, "origin": 0} {
		if line := fmt.Sprintf("connectionsd_refused_requests_total{reason=%q} %d\n", reason, want); !strings.Contains(metrics, line) {
			t.Errorf("/metrics has no line %q", line)
		}
	}
}
