//go:build linux

package daemon_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// openPair opens a connection on loopback.
func openPair(t *testing.T, network, listenAddress string) (opener, acceptor net.Conn) {
	t.Helper()
	l, err := net.Listen(network, listenAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	opener, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opener.Close() })
	acceptor, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { acceptor.Close() })
	return opener, acceptor
}

// transfer sends n bytes and waits until they were read.
func transfer(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, n))
		sent <- err
	}()
	buf := make([]byte, 64<<10)
	for got := 0; got < n; {
		m, err := to.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += m
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// ofRemote returns the one record whose remote end is address.
func ofRemote(t *testing.T, records []record, address string) record {
	t.Helper()
	var found []record
	for _, r := range records {
		if r.Address == address {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records of %s, want 1", len(found), address)
	}
	return found[0]
}

// Each of the 25 members of both ends of a connection, over IPv4 and IPv6,
// idle for some seconds after it carried bytes.
func TestRecordOfAnIdleConnection(t *testing.T) {
	d := serve(t, "--height", "3194582", "--netns", "self") // which costs little, so that the sampler comes often
	for _, test := range []struct {
		network, listen, host string
		addressType           int
	}{
		{"tcp4", "127.0.0.1:0", "127.0.0.1", 1},
		{"tcp6", "[::1]:0", "::1", 2},
	} {
		t.Run(test.network, func(t *testing.T) {
			beforeOpening := time.Now()
			opener, acceptor := openPair(t, test.network, test.listen)
			transfer(t, opener, acceptor, 10_000)
			transfer(t, acceptor, opener, 5_000_000)
			idle := time.Now()
			time.Sleep(3300 * time.Millisecond)

			// An age is known to within the quarter of a second between two dumps, and the kernel's ticks.
			least := uint64((time.Since(idle) - 300*time.Millisecond) / time.Second)
			records := d.connections(`{}`)
			most := uint64(time.Since(beforeOpening) / time.Second)
			out := ofRemote(t, records, opener.RemoteAddr().String())
			in := ofRemote(t, records, acceptor.RemoteAddr().String())
			for name, r := range map[string]record{"outgoing": out, "incoming": in} {
				if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(r.ConnectionID) {
					t.Errorf("%s: connection_id %q, want 32 hex digits", name, r.ConnectionID)
				}
				for member, seconds := range map[string]uint64{
					"live_time": r.LiveTime, "recv_idle_time": r.RecvIdleTime, "send_idle_time": r.SendIdleTime,
				} {
					if seconds < least || seconds > most {
						t.Errorf("%s: %s %d, want %d to %d", name, member, seconds, least, most)
					}
				}
			}
			if out.ConnectionID == in.ConnectionID {
				t.Error("both ends have one connection_id")
			}
			port := func(a net.Addr) string { return fmt.Sprint(a.(*net.TCPAddr).Port) }
			want := record{
				Address: opener.RemoteAddr().String(), AddressType: test.addressType, ConnectionID: out.ConnectionID,
				AvgDownload: 5_000_000 / out.LiveTime / 1024, AvgUpload: 10_000 / out.LiveTime / 1024,
				Height: 3194582, Host: test.host, IP: test.host, LiveTime: out.LiveTime, Localhost: true,
				PeerID: "0000000000000000", Port: port(opener.RemoteAddr()), RecvCount: 5_000_000, SendCount: 10_000,
				RecvIdleTime: out.RecvIdleTime, SendIdleTime: out.SendIdleTime, State: "normal",
			}
			if out != want {
				t.Errorf("outgoing record\n%+v, want\n%+v", out, want)
			}
			want.Address, want.Port, want.ConnectionID = acceptor.RemoteAddr().String(), port(acceptor.RemoteAddr()), in.ConnectionID
			want.Incoming, want.LiveTime = true, in.LiveTime
			want.RecvCount, want.SendCount = 10_000, 5_000_000
			want.AvgDownload, want.AvgUpload = 10_000/in.LiveTime/1024, 5_000_000/in.LiveTime/1024
			want.RecvIdleTime, want.SendIdleTime = in.RecvIdleTime, in.SendIdleTime
			if in != want {
				t.Errorf("incoming record\n%+v, want\n%+v", in, want)
			}

			again := ofRemote(t, d.connections(`{}`), opener.RemoteAddr().String())
			if again.ConnectionID != out.ConnectionID {
				t.Errorf("connection_id changed from %s to %s", out.ConnectionID, again.ConnectionID)
			}
		})
	}
}

// A connection that is busy says how busy, in its direction.
func TestRatesOfABusyConnection(t *testing.T) {
	d := serve(t)
	opener, acceptor := openPair(t, "tcp4", "127.0.0.1:0")
	// The bytes and the time of each round, so that the rate that is wanted is what this machine really sent.
	var sent []time.Time
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(100 * time.Millisecond) {
		transfer(t, opener, acceptor, 1<<20)
		sent = append(sent, time.Now())
	}
	records := d.connections(`{}`)
	now := time.Now()
	out := ofRemote(t, records, opener.RemoteAddr().String())
	in := ofRemote(t, records, acceptor.RemoteAddr().String())
	// The window is one to two seconds long, and up to a quarter longer.
	within := func(window time.Duration) (rounds uint64) {
		for _, at := range sent {
			if now.Sub(at) < window {
				rounds++
			}
		}
		return rounds
	}
	least, most := within(900*time.Millisecond)*1024*1000/2500, within(2500*time.Millisecond)*1024
	if out.CurrentUpload < least || out.CurrentUpload > most || out.CurrentDownload != 0 {
		t.Errorf("sender: upload %d, download %d kB/s, want %d to %d, 0", out.CurrentUpload, out.CurrentDownload, least, most)
	}
	if in.CurrentDownload < least || in.CurrentDownload > most || in.CurrentUpload != 0 {
		t.Errorf("receiver: download %d, upload %d kB/s, want %d to %d, 0", in.CurrentDownload, in.CurrentUpload, least, most)
	}
	idle := uint64(now.Sub(sent[len(sent)-1]) / time.Second)
	if out.SendIdleTime > idle || in.RecvIdleTime > idle {
		t.Errorf("idle %d and %d s, want at most %d while it is busy", out.SendIdleTime, in.RecvIdleTime, idle)
	}
	if least == 0 {
		t.Error("nothing was sent in the last second: the test tests nothing")
	}
	time.Sleep(3 * time.Second)
	records = d.connections(`{}`)
	if r := ofRemote(t, records, opener.RemoteAddr().String()); r.CurrentUpload != 0 {
		t.Errorf("upload %d kB/s, 3 s after the last byte", r.CurrentUpload)
	}
}

// The connection_id is the same after a restart, and of a connection that is
// older than the daemon live_time has the floor.
func TestRestart(t *testing.T) {
	first := serve(t)
	opener, acceptor := openPair(t, "tcp4", "127.0.0.1:0")
	before := ofRemote(t, first.connections(`{}`), opener.RemoteAddr().String())
	time.Sleep(1100 * time.Millisecond)
	transfer(t, opener, acceptor, 1)
	if code := first.stop(os.Interrupt); code != 0 {
		t.Errorf("exit code %d after SIGINT, want 0", code)
	}
	second := serve(t)
	after := ofRemote(t, second.connections(`{}`), opener.RemoteAddr().String())
	if after.ConnectionID != before.ConnectionID {
		t.Errorf("connection_id changed from %s to %s", before.ConnectionID, after.ConnectionID)
	}
	if after.Incoming || after.LiveTime < 1 || after.SendCount != 1 {
		t.Errorf("incoming %v, live_time %d, send_count %d, want false, 1 or more, 1", after.Incoming, after.LiveTime, after.SendCount)
	}
}

// The line that the daemon prints is one that a shell runs.
func TestExample(t *testing.T) {
	d := serve(t)
	opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", d.example).Output()
	if err != nil {
		t.Fatalf("%s: %v", d.example, err)
	}
	var answer struct {
		Result struct{ Connections []record }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	ofRemote(t, answer.Result.Connections, opener.RemoteAddr().String())
}

// The REST face names the process that holds a connection, and a dashboard can
// join its two arrays.
func TestREST(t *testing.T) {
	d := serve(t)
	opener, acceptor := openPair(t, "tcp4", "127.0.0.1:0")
	status, header, body := d.get("/api/connections")
	if status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, content type %q", status, header.Get("Content-Type"))
	}
	var answer struct {
		Listeners []struct {
			PID                                                                     int
			ProcessName, ServiceLabel, ProcessIconType, Address, AddressDescription string
			Port                                                                    int
		}
		Connections []struct {
			FromPID                int
			FromProcessName        string
			FromAddress, ToAddress string
			FromPort, ToPort       int
			ToLabel                string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	name, pid := strings.TrimSpace(string(comm)), os.Getpid()
	server, client := acceptor.LocalAddr().(*net.TCPAddr), opener.LocalAddr().(*net.TCPAddr)

	flows := 0
	for _, f := range answer.Connections {
		isServer := f.FromPort == server.Port && f.ToPort == client.Port
		isClient := f.FromPort == client.Port && f.ToPort == server.Port
		if !isServer && !isClient {
			continue
		}
		flows++
		if f.FromPID != pid || f.FromProcessName != name || f.FromAddress != "127.0.0.1" || f.ToAddress != "127.0.0.1" {
			t.Errorf("flow %+v, want pid %d, name %s", f, pid, name)
		}
		if isClient && f.ToLabel != name {
			t.Errorf("label %q of the end that this process listens at, want %q", f.ToLabel, name)
		}
	}
	if flows != 2 {
		t.Errorf("%d flows of the connection, want its two ends", flows)
	}
	listeners := 0
	for _, l := range answer.Listeners {
		if l.Port == server.Port {
			listeners++
			if l.PID != pid || l.ProcessName != name || l.Address != "127.0.0.1" || l.AddressDescription != "Localhost only (IPv4)" {
				t.Errorf("listener %+v, want pid %d, name %s, 127.0.0.1", l, pid, name)
			}
		}
		if l.PID == d.cmd.Process.Pid && (l.ServiceLabel != "connectionsd" || l.ProcessIconType != "connectionsd") {
			t.Errorf("the daemon's own listener %+v", l)
		}
	}
	if listeners != 1 || len(answer.Listeners) != 2 {
		t.Errorf("%d listeners, %d of them this test's, want 2, 1", len(answer.Listeners), listeners)
	}
}

// Of 20,000 sockets, each is in the answer, once.
func TestTwentyThousandSockets(t *testing.T) {
	const openers, backlog = 10_000, 1000
	want := make(map[[2]string]bool) // direction and remote end
	for i := 0; len(want) < 2*openers; i++ {
		// Nobody accepts, so that an acceptor's end takes no descriptor: a process
		// may not have as many as this.
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.1.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for range backlog {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			want[[2]string{c.LocalAddr().String(), c.RemoteAddr().String()}] = true
			want[[2]string{c.RemoteAddr().String(), c.LocalAddr().String()}] = true
		}
	}
	d := serve(t)
	got := make(map[[2]string]int)
	ids := make(map[string]bool)
	for _, r := range d.extended() {
		if strings.HasPrefix(r.Address, "127.0.1.") == strings.HasPrefix(r.Socket.LocalAddress, "127.0.1.") {
			continue // not of those
		}
		got[[2]string{r.Socket.LocalAddress, r.Address}]++
		ids[r.ConnectionID] = true
	}
	for ends := range want {
		if got[ends] != 1 {
			t.Errorf("%s - %s is in the answer %d times", ends[0], ends[1], got[ends])
		}
	}
	if len(got) != len(want) || len(ids) != len(want) {
		t.Errorf("%d sockets with %d ids, want %d", len(got), len(ids), len(want))
	}
}

type extendedRecord struct {
	record
	Socket struct {
		LocalAddress string `json:"local_address"`
	}
}

func (d *daemon) extended() []extendedRecord {
	d.t.Helper()
	response, err := http.Get(d.url + "/get_connections?extended=true")
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Connections []extendedRecord }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		d.t.Fatal(err)
	}
	return answer.Connections
}
