package main

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

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

// Without TCP there is no port whose connections are clients'.
func TestListenersWithoutTCP(t *testing.T) {
	if port := new(listeners).tcpPort(); port != 0 {
		t.Errorf("port %d, want 0", port)
	}
}
