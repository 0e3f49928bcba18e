//go:build linux

package daemon_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The sockets that systemd passes are for the next daemon too, as in a restart: between the two nobody is refused, and who has
// connected by then is answered by the second.
func TestSharedSockets(t *testing.T) {
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
	first := passed(t, []*os.File{fileOf(t, tcp), fileOf(t, unix)})
	if code := first.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d: %s", code, first.log)
	}
	var between []net.Conn
	for _, address := range []net.Addr{tcp.Addr(), unix.Addr()} {
		conn, err := net.DialTimeout(address.Network(), address.String(), 5*time.Second)
		if err != nil {
			t.Fatalf("between two daemons: %v", err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		between = append(between, conn)
	}
	second := passed(t, []*os.File{fileOf(t, tcp), fileOf(t, unix)})
	for _, conn := range between {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("who has connected to %s between two daemons: %v", conn.RemoteAddr(), err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %s", conn.RemoteAddr(), response.Status)
		}
	}
	if status, _, body := second.get("/healthz"); status != http.StatusOK {
		t.Errorf("the second by TCP: status %d: %s", status, body)
	}
	if status, body := getUnix(t, socket, "/healthz"); status != http.StatusOK {
		t.Errorf("the second at %s: status %d: %s", socket, status, body)
	}
}
