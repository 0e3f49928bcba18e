package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/rpc"
)

// What is read again can be replaced: by another file of its name, and where it is a link, of the name that it is a link to.
func TestSettingsDirectories(t *testing.T) {
	directory := t.TempDir()
	t.Chdir(directory)
	for _, name := range []string{"conf", "live", "archive"} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, "conf/c.conf", "", 0o600)
	writeFile(t, "archive/cert1.pem", "", 0o600)
	if err := os.Symlink("../archive/cert1.pem", "live/cert.pem"); err != nil {
		t.Fatal(err)
	}
	got := settingsDirectories(Config{
		ConfigFile: "conf/c.conf", RPCLoginFile: "/nowhere/login", RPCSSLCertificate: filepath.Join(directory, "live/cert.pem"), RPCSSLPrivateKey: "conf/key.pem",
	})
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], directory)
	}
	if diff := cmp.Diff([]string{"/conf", "/nowhere", "/live", "/archive"}, got); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
	if got := settingsDirectories(Config{}); got != nil {
		t.Errorf("without files: %q", got)
	}
}

// Who shows a certificate of an authority that is replaced gets in no more, with a session of before neither.
func TestCertificatesThatAreReplaced(t *testing.T) {
	t.Chdir(t.TempDir())
	server := newCertificate(t, "server", nil)
	old, next := newCertificate(t, "old", nil), newCertificate(t, "new", nil)
	newCertificate(t, "client-of-old", old)
	newCertificate(t, "client-of-new", next)
	read := func(cas string) *certificates {
		t.Helper()
		c, err := readCertificates(Config{RPCSSLCertificate: "server.pem", RPCSSLPrivateKey: "server.key", RPCSSLCACertificates: cas}, openAgain)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	shown := new(shownCertificates)
	shown.current.Store(read("old.pem"))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", shown.config())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if conn.(*tls.Conn).Handshake() == nil {
				_, _ = conn.Write([]byte("in")) // with it the ticket of the session is read
			}
			conn.Close()
		}
	}()
	defer func() {
		listener.Close()
		<-done
	}()
	roots := x509.NewCertPool()
	roots.AddCert(server.certificate)
	clients := make(map[string]*tls.Config)
	for _, name := range []string{"client-of-old", "client-of-new"} {
		certificate, err := tls.LoadX509KeyPair(name+".pem", name+".key")
		if err != nil {
			t.Fatal(err)
		}
		clients[name] = &tls.Config{
			RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(1),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
		}
	}
	type outcome struct{ in, resumed bool }
	enter := func(client string) outcome {
		conn, err := tls.Dial("tcp", listener.Addr().String(), clients[client])
		if err != nil {
			return outcome{}
		}
		defer conn.Close()
		text := make([]byte, 2)
		n, _ := conn.Read(text)
		return outcome{string(text[:n]) == "in", conn.ConnectionState().DidResume}
	}
	for _, step := range []struct {
		cas, client string
		want        outcome
	}{
		{"old.pem", "client-of-old", outcome{true, false}},
		{"old.pem", "client-of-old", outcome{true, true}},
		{"old.pem", "client-of-new", outcome{false, false}},
		{"new.pem", "client-of-old", outcome{false, false}},
		{"new.pem", "client-of-new", outcome{true, false}},
		{"new.pem", "client-of-new", outcome{true, true}},
	} {
		shown.current.Store(read(step.cas))
		if got := enter(step.client); got != step.want {
			t.Errorf("%s with %s: %+v, want %+v", step.client, step.cas, got, step.want)
		}
	}
}

// What a reload is to do, and what it refuses.
func TestReloadPlan(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b"} {
		newCertificate(t, name, nil)
	}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	token := accessToken(t, "0123456789abcdef")
	plain := Config{AccessTokens: []rpc.AccessToken{token}, RateLimit: 50, RPCBindPort: 18081}
	secure := plain
	secure.RPCSSLCertificate, secure.RPCSSLPrivateKey = "a.pem", "a.key"
	guarded := secure
	guarded.AccessTokens, guarded.RPCSSLCACertificates = nil, "a.pem"
	with := func(c Config, change func(*Config)) Config {
		change(&c)
		return c
	}
	exposed := "the daemon listens on " + listener.Addr().String() + ", which is no loopback address, and no login, token or client certificate " +
		"would protect it any more: want one of them, or --confirm-external-bind"
	for _, tc := range []struct {
		name             string
		running, next    Config
		changed, restart []string
		replaced         bool
		err              string
	}{
		{name: "nothing", running: secure, next: secure},
		{
			name: "lists and a port", running: plain,
			next: with(plain, func(c *Config) {
				c.AllowedHosts, c.TrustedProxies = []string{"a"}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				c.RPCBindPort, c.AccessLog = 1, 7
			}),
			changed: []string{"allowed-host", "trusted-proxy", "access-log"}, restart: []string{"rpc-bind-port"},
		},
		{
			name: "a login by its file", running: plain,
			next:    with(plain, func(c *Config) { c.RPCLogin, c.RPCLoginFile = rpc.Login{User: "u", Password: "p"}, "login" }),
			changed: []string{"rpc-login-file"},
		},
		{
			name: "another certificate", running: secure,
			next:    with(secure, func(c *Config) { c.RPCSSLCertificate, c.RPCSSLPrivateKey = "b.pem", "b.key" }),
			changed: []string{"rpc-ssl-certificate", "rpc-ssl-private-key"}, replaced: true,
		},
		{
			name: "client certificates", running: secure, next: with(secure, func(c *Config) { c.RPCSSLCACertificates = "b.pem" }),
			changed: []string{"rpc-ssl-ca-certificates"}, replaced: true,
		},
		{
			name: "TLS where there was none", running: plain, next: secure,
			restart: []string{"rpc-ssl-certificate", "rpc-ssl-private-key"},
		},
		{
			name: "no TLS any more", running: secure, next: plain,
			restart: []string{"rpc-ssl-certificate", "rpc-ssl-private-key"},
		},
		{name: "the only guard leaves", running: plain, next: with(plain, func(c *Config) { c.AccessTokens = nil }), err: exposed},
		{
			name: "the guard is confirmed away", running: plain, next: with(plain, func(c *Config) { c.AccessTokens, c.ConfirmExternalBind = nil, true }),
			changed: []string{"confirm-external-bind", "access-token"},
		},
		{name: "a guard that takes a restart", running: plain, next: guarded, err: exposed},
		{
			name: "a guard that stays until the restart", running: guarded, next: with(plain, func(c *Config) { c.AccessTokens = nil }),
			restart: []string{"rpc-ssl-certificate", "rpc-ssl-private-key", "rpc-ssl-ca-certificates"},
		},
		{
			name: "a certificate that is none", running: secure, next: with(secure, func(c *Config) { c.RPCSSLCertificate = "a.key" }),
			err: "--rpc-ssl-certificate a.key, --rpc-ssl-private-key a.key: tls: ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &reloader{started: tc.running, running: tc.running, certificates: new(shownCertificates), listeners: &listeners{tcp: []net.Listener{listener}}}
			shown, err := readCertificates(tc.running, openAgain)
			if err != nil {
				t.Fatal(err)
			}
			r.certificates.current.Store(shown)
			got, err := r.plan(tc.next)
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Errorf("error %v, want one that begins %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{tc.changed, tc.restart}, [][]string{got.changed, got.restart}); diff != "" {
				t.Errorf("changed, and restart (-want +got):\n%s", diff)
			}
			if (got.certificates != nil) != tc.replaced {
				t.Errorf("certificates %v, want them replaced: %t", got.certificates, tc.replaced)
			}
		})
	}
}

func TestReasonOfWhatMayNotBeRead(t *testing.T) {
	other := errors.New("c.conf:1: want key=value")
	if got := withReason(other); got != other {
		t.Errorf("%v, want %v as it is", got, other)
	}
}
