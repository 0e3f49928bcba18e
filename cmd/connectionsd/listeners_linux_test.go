package main

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/connectionsd/connectionsd/rpc"
)

// Where one of several listeners fails the others end too, and its failure is the error.
func TestListenersServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.sock")
	socket, err := listenUnix(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := &listeners{tcp: []net.Listener{tcp}, unix: []net.Listener{socket}, made: socket}
	if got := strings.Join(all.addresses(), " "); got != tcp.Addr().String()+" "+path || int(all.tcpPort()) != tcp.Addr().(*net.TCPAddr).Port {
		t.Errorf("addresses %s, port %d", got, all.tcpPort())
	}
	ended := make(chan error)
	go func() {
		ended <- all.serve(context.Background(), rpc.Server{Handler: http.NotFoundHandler(), Log: zerolog.Nop()})
	}()
	if err := tcp.Close(); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	if want := "accept connections on " + tcp.Addr().String(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s in it", err, want)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		t.Error("the other listener still takes clients")
	}
	all.removeSocket(zerolog.Nop())
}

// What systemd passes may be reached by other hosts, though --rpc-bind-ip is a loopback address.
func TestListenersWarnings(t *testing.T) {
	listenOn := func(address string) net.Listener {
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return sharedListener{listener}
	}
	local, external := listenOn("127.0.0.1:0"), listenOn("0.0.0.0:0")
	open := Config{Warnings: append(make([]string, 0, 2), "other")}
	token, login := open, open
	token.AccessTokens = []rpc.AccessToken{accessToken(t, "0123456789abcdef")}
	login.RPCLogin = rpc.Login{User: "user", Password: "pass"}
	secure, warned := token, token
	secure.RPCSSLCertificate = "c.pem"
	warned.Warnings = []string{inClear}
	for _, tc := range []struct {
		name string
		tcp  []net.Listener
		cfg  Config
		want []string
	}{
		{"a token", []net.Listener{local, external}, token, []string{"other", inClear}},
		{"a login", []net.Listener{external}, login, []string{"other", inClear}},
		{"on this host alone", []net.Listener{local}, token, []string{"other"}},
		{"by unix sockets alone", nil, token, []string{"other"}},
		{"over TLS", []net.Listener{external}, secure, []string{"other"}},
		{"without a secret", []net.Listener{external}, open, []string{"other"}},
		{"warned of by --rpc-bind-ip", []net.Listener{external}, warned, []string{inClear}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, (&listeners{tcp: tc.tcp}).warnings(tc.cfg)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"other", ""}, open.Warnings[:2]); diff != "" {
				t.Errorf("of the configuration itself (-want +got):\n%s", diff)
			}
		})
	}
}

// Without TCP there is no port whose connections are clients'.
func TestListenersWithoutTCP(t *testing.T) {
	if port := new(listeners).tcpPort(); port != 0 {
		t.Errorf("port %d, want 0", port)
	}
}
