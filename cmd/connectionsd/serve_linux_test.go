package main

import (
	"bufio"
	"bytes"
	"context"
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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// A daemon is a serve that runs within this process.
type daemon struct {
	address string // HOST:PORT
	example string // the command line that it printed

	cancel context.CancelFunc
	ended  chan int
	stderr bytes.Buffer // once it has ended
}

// start runs serve with args on any port of 127.0.0.1 and waits until it listens. It gives up no privilege: the process is
// that of the tests.
func start(t *testing.T, args, environ []string) *daemon {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) }) // runs after the one below
	ctx, cancel := context.WithCancel(t.Context())
	d := &daemon{cancel: cancel, ended: make(chan int, 1)}
	stdout, w := io.Pipe()
	go func() {
		args := append([]string{"serve", "--rpc-bind-port=0", "--log-format=json", "--log-level=trace", "--container-api=none", "--sandbox=off"}, args...)
		d.ended <- run(ctx, args, w, &d.stderr, environ)
		w.Close()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("exit code %d: %s", <-d.ended, d.stderr.String())
	}
	t.Cleanup(func() { d.stop(t) })
	d.example = strings.TrimSuffix(line, "\n")
	_, rest, _ := strings.Cut(line, "://")
	d.address, _, _ = strings.Cut(rest, "/")
	return d
}

// stop ends d, if it has not ended, and returns what it logged.
func (d *daemon) stop(t *testing.T) string {
	t.Helper()
	d.cancel()
	if code, running := <-d.ended; running {
		if code != exitOK {
			t.Errorf("exit code %d, want 0: %s", code, d.stderr.String())
		}
		close(d.ended)
	}
	return d.stderr.String()
}

// answer sends a request without a body and returns status and body.
func answer(t *testing.T, client *http.Client, method, url string) string {
	t.Helper()
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
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
	if response.StatusCode == http.StatusOK {
		return "200"
	}
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

// What the flags, variables and the file say of access arrives at the server.
func TestServeWithCredentials(t *testing.T) {
	const token = "hunter2-hunter2-hunter2"
	d := start(t, []string{"--allowed-host=node.example.org"}, []string{"CONNECTIONSD_ACCESS_TOKEN=" + token, "CONNECTIONSD_RPC_LOGIN=user:hunter2"})
	base := "http://" + d.address
	client := &http.Client{Transport: &http.Transport{}}
	for _, tc := range []struct{ path, want string }{
		{"/healthz", "200"},
		{"/get_connections", `404 {"error":"Not found"}`},
		{"/metrics", `404 {"error":"Not found"}`},
		{"/" + token + "x/get_connections", `404 {"error":"Not found"}`},
		{"/" + token + "/get_connections", `401 {"error":{"code":401,"message":"Unauthorized"}}`},
		{"/" + token + "/metrics", `401 {"error":"Unauthorized"}`},
	} {
		if got := answer(t, client, "GET", base+tc.path); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.path, got, tc.want)
		}
	}

	// The printed line works with the secrets filled in, under every name that is allowed.
	_, port, _ := net.SplitHostPort(d.address)
	for host, want := range map[string]string{
		"127.0.0.1": `"status":"OK"`, "localhost": `"status":"OK"`, "node.example.org": `"status":"OK"`, "evil.example": "is not allowed",
	} {
		line := strings.Replace(d.example, "127.0.0.1", host, 1)
		line = strings.Replace(line, "curl -s", "curl -sS --noproxy '*' --max-time 20 --resolve '*:"+port+":127.0.0.1'", 1)
		command := exec.CommandContext(t.Context(), "sh", "-c", line)
		command.Env = append(os.Environ(), "TOKEN="+token, "LOGIN=user:hunter2")
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %s, %v, want %s in it", line, out, err, want)
		}
	}
	if got := answer(t, client, "GET", base+"/"+token+"/"); got[:4] != "401 " {
		t.Errorf("without a login: %s, want 401", got)
	}

	log := d.stop(t)
	for _, text := range []string{log, d.example} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%q has a secret in it", text)
		}
	}
	var listening map[string]any
	for line := range strings.Lines(log) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event["message"] == "listening" {
			listening = event
		}
	}
	for field, want := range map[string]any{"tls": false, "login": true, "access_tokens": 1.0} {
		if listening[field] != want {
			t.Errorf("listening: %s is %v, want %v", field, listening[field], want)
		}
	}
}

func TestServeWarnsOfSecretsOnItsCommandLine(t *testing.T) {
	log := start(t, []string{"--access-token=hunter2-hunter2-hunter2"}, nil).stop(t)
	const want = `"warning":"--access-token: others on this host may have read it from the command line: ` +
		`want CONNECTIONSD_ACCESS_TOKEN or the configuration file"`
	if n := strings.Count(log, want); n != 1 || strings.Contains(log, "hunter2") {
		t.Errorf("%d warnings, want 1 without the token:\n%s", n, log)
	}
}

func TestServeOrigins(t *testing.T) {
	d := start(t, []string{"--rpc-access-control-origins=https://example.org"}, nil)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for origin, want := range map[string]string{"https://example.org": "200 https://example.org", "https://evil.example": "403 "} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+d.address+"/get_connections", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := fmt.Sprint(response.StatusCode, " ", response.Header.Get("Access-Control-Allow-Origin")); got != want {
			t.Errorf("%s: %q, want %q", origin, got, want)
		}
	}
}

// An authority signs certificates for the tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newCertificate writes name.pem and name.key: a certificate for 127.0.0.1, signed by signer or, if that is nil, by itself.
func newCertificate(t *testing.T, name string, signer *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if signer == nil {
		signer = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.certificate, &key.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
	writeFile(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), 0o600)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func TestServeTLS(t *testing.T) {
	t.Chdir(t.TempDir())
	newCertificate(t, "server's", nil) // with a quote, for the shell
	d := start(t, []string{"--rpc-ssl-certificate=server's.pem", "--rpc-ssl-private-key=server's.key"}, nil)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(d.example, "curl", "curl --noproxy '*' -S --max-time 20", 1)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"status":"OK"`) {
		t.Errorf("%s: %s, %v", d.example, out, err)
	}
	response, err := http.Get("http://" + d.address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusBadRequest || string(body) != "Client sent an HTTP request to an HTTPS server.\n" {
		t.Errorf("plain HTTP: %d %q, %v", response.StatusCode, body, err)
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}
	if _, err := tls.Dial("tcp", d.address, old); err == nil || err.Error() != "remote error: tls: protocol version not supported" {
		t.Errorf("TLS 1.1: error %v, want that the version is not supported", err)
	}
}

func TestServeTLSChecksClients(t *testing.T) {
	t.Chdir(t.TempDir())
	ca := newCertificate(t, "ca", nil)
	newCertificate(t, "server", ca)
	newCertificate(t, "client", ca)
	newCertificate(t, "stranger", nil)
	d := start(t, []string{
		"--rpc-ssl-certificate=server.pem", "--rpc-ssl-private-key=server.key", "--rpc-ssl-ca-certificates=ca.pem",
	}, nil)
	const wantExample = `curl -s --cert "$CERTIFICATE" --key "$KEY" https://127.0.0.1:`
	if !strings.HasPrefix(d.example, wantExample) {
		t.Errorf("example %s, want it to start %s", d.example, wantExample)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	for name, want := range map[string]bool{"client": true, "stranger": false, "": false} {
		config := &tls.Config{RootCAs: roots}
		if name != "" {
			certificate, err := tls.LoadX509KeyPair(name+".pem", name+".key")
			if err != nil {
				t.Fatal(err)
			}
			// Not Certificates, of which none would be sent that the server does not ask for.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		response, err := client.Get("https://" + d.address + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		client.CloseIdleConnections()
		if let := err == nil && response.StatusCode == http.StatusOK; let != want {
			t.Errorf("client certificate %q: let in %t (%v), want %t", name, let, err, want)
		}
	}
}

func TestServeTLSErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	newCertificate(t, "a", nil)
	newCertificate(t, "b", nil)
	writeFile(t, "empty", "", 0o600)
	for _, tc := range []struct{ certificate, key, cas, want string }{
		{"none.pem", "a.key", "", "--rpc-ssl-certificate: open none.pem: no such file or directory"},
		{"a.pem", "none.key", "", "--rpc-ssl-private-key: open none.key: no such file or directory"},
		{
			"a.pem", "b.key", "",
			"--rpc-ssl-certificate a.pem, --rpc-ssl-private-key b.key: tls: private key does not match public key",
		},
		{
			"empty", "a.key", "",
			"--rpc-ssl-certificate empty, --rpc-ssl-private-key a.key: tls: failed to find any PEM data in certificate input",
		},
		{"a.pem", "a.key", "none.pem", "--rpc-ssl-ca-certificates: open none.pem: no such file or directory"},
		{"a.pem", "a.key", "a.key", "--rpc-ssl-ca-certificates a.key: there is no certificate in it: want PEM"},
	} {
		args := []string{"serve", "--rpc-bind-port=0", "--rpc-ssl-certificate=" + tc.certificate, "--rpc-ssl-private-key=" + tc.key}
		if tc.cas != "" {
			args = append(args, "--rpc-ssl-ca-certificates="+tc.cas)
		}
		var stderr bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &stderr, nil); code != exitUsage {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
		if diff := cmp.Diff("connectionsd: "+tc.want+"\n", stderr.String()); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	}
}

// The process list of a running daemon has its secrets no more, and the daemon still knows them.
func TestProcessListHasNoSecrets(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "connectionsd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %s", out)
	}
	const token, other = "0123456789-hunter2", "hunter2-9876543210"
	var stderr bytes.Buffer // read after Wait
	command := exec.CommandContext(t.Context(), binary, "serve", "--rpc-bind-port", "0",
		"--access-token", token, "--access-token="+other, "--rpc-login", "user:hunter2", "--height=7")
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Errorf("no line on stdout: %v", err)
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", command.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	want := []string{
		binary, "serve", "--rpc-bind-port", "0",
		"--access-token", strings.Repeat("x", len(token)), "--access-token=" + strings.Repeat("x", len(other)),
		"--rpc-login", strings.Repeat("x", len("user:hunter2")), "--height=7", "",
	}
	if diff := cmp.Diff(want, strings.Split(string(cmdline), "\x00")); diff != "" {
		t.Errorf("command line (-want +got):\n%s", diff)
	}
	_, rest, _ := strings.Cut(line, "://")
	address, _, _ := strings.Cut(rest, "/")
	client := &http.Client{Transport: &http.Transport{}}
	for _, token := range []string{token, other} {
		want := `401 {"error":"Unauthorized"}`
		if got := answer(t, client, "GET", "http://"+address+"/"+token+"/api/connections"); got != want {
			t.Errorf("with the token: %s, want %s", got, want)
		}
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if strings.Contains(stderr.String(), "hunter2") {
		t.Errorf("a secret is in the log: %s", stderr.String())
	}
}
