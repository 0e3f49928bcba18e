package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// small is a host with a web server in a container, a client, and sockets that nobody holds.
func small() *host {
	h := new(host)
	h.snap.Containers = []model.Container{
		{Runtime: "docker", ID: strings.Repeat("0123456789abcdef", 4), Name: "web"},
		{Runtime: "docker", ID: strings.Repeat("fedcba9876543210", 4)},
	}
	nginx, curl, node := h.process("nginx", 0), h.process("curl", model.NoContainer), h.process("node", 1)
	h.listens(nginx, 80)
	h.add(2, model.Socket{State: model.Established, LocalPort: 80, BytesReceived: 100, BytesSent: 5000, BytesRetrans: 500, InfoLen: 232},
		model.Known{Owner: nginx, Container: 0, Incoming: true, Download: 10, Upload: 300})
	h.add(1, model.Socket{State: model.CloseWait, LocalPort: 80, BytesReceived: 101, BytesSent: 7, InfoLen: 232},
		model.Known{Owner: nginx, Container: 0, Incoming: true})
	h.connected(1, nginx, false, 45678, 1, 2, 3, 4)
	h.connected(1, curl, false, 45679, 8000, 90, 700, 8)
	h.add(1, model.Socket{State: model.SynSent, LocalPort: 45680}, model.Known{Owner: node, Container: 1})
	h.add(3, model.Socket{State: model.TimeWait, LocalPort: 80}, model.Known{Owner: model.NoOwner, Container: model.NoContainer, Incoming: true})
	h.add(1, model.Socket{State: 13, LocalPort: 81}, model.Known{Owner: model.NoOwner, Container: model.NoContainer})
	return h
}

func TestSockets(t *testing.T) {
	handler := New(time.Now).Handler(small().options())
	want := []string{
		`connectionsd_sockets{container="",direction="",process="",state="TIME_WAIT"} 3`,
		`connectionsd_sockets{container="",direction="",process="",state="UNKNOWN"} 1`,
		`connectionsd_sockets{container="",direction="",process="nginx",state="LISTEN"} 1`,
		`connectionsd_sockets{container="",direction="outgoing",process="curl",state="ESTABLISHED"} 1`,
		`connectionsd_sockets{container="",direction="outgoing",process="nginx",state="ESTABLISHED"} 1`,
		`connectionsd_sockets{container="fedcba987654",direction="outgoing",process="node",state="SYN_SENT"} 1`,
		`connectionsd_sockets{container="web",direction="incoming",process="nginx",state="CLOSE_WAIT"} 1`,
		`connectionsd_sockets{container="web",direction="incoming",process="nginx",state="ESTABLISHED"} 2`,
		`connectionsd_sockets_groups 5`,
		`connectionsd_sockets_up 1`,
	}
	if diff := cmp.Diff(want, scrape(t, handler, "connectionsd_sockets{", "connectionsd_sockets_groups", "connectionsd_sockets_up")); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	want = []string{
		// Of the three that are incoming the last has a FIN in its count, which is no payload.
		`connectionsd_connections_receive_bytes_per_second{container="",direction="outgoing",process="curl"} 700`,
		`connectionsd_connections_receive_bytes_per_second{container="",direction="outgoing",process="nginx"} 3`,
		`connectionsd_connections_receive_bytes_per_second{container="fedcba987654",direction="outgoing",process="node"} 0`,
		`connectionsd_connections_receive_bytes_per_second{container="web",direction="incoming",process="nginx"} 20`,
		`connectionsd_connections_received_bytes{container="",direction="outgoing",process="curl"} 8000`,
		`connectionsd_connections_received_bytes{container="",direction="outgoing",process="nginx"} 1`,
		`connectionsd_connections_received_bytes{container="fedcba987654",direction="outgoing",process="node"} 0`,
		`connectionsd_connections_received_bytes{container="web",direction="incoming",process="nginx"} 300`,
		`connectionsd_connections_send_bytes_per_second{container="",direction="outgoing",process="curl"} 8`,
		`connectionsd_connections_send_bytes_per_second{container="",direction="outgoing",process="nginx"} 4`,
		`connectionsd_connections_send_bytes_per_second{container="fedcba987654",direction="outgoing",process="node"} 0`,
		`connectionsd_connections_send_bytes_per_second{container="web",direction="incoming",process="nginx"} 600`,
		`connectionsd_connections_sent_bytes{container="",direction="outgoing",process="curl"} 90`,
		`connectionsd_connections_sent_bytes{container="",direction="outgoing",process="nginx"} 2`,
		`connectionsd_connections_sent_bytes{container="fedcba987654",direction="outgoing",process="node"} 0`,
		`connectionsd_connections_sent_bytes{container="web",direction="incoming",process="nginx"} 9007`,
		`connectionsd_scope_connections{direction="incoming",scope="80"} 3`,
		`connectionsd_scope_connections{direction="outgoing",scope="80"} 1`,
		`connectionsd_scope_receive_bytes_per_second{direction="incoming",scope="80"} 20`,
		`connectionsd_scope_receive_bytes_per_second{direction="outgoing",scope="80"} 3`,
		`connectionsd_scope_received_bytes{direction="incoming",scope="80"} 300`,
		`connectionsd_scope_received_bytes{direction="outgoing",scope="80"} 1`,
		`connectionsd_scope_send_bytes_per_second{direction="incoming",scope="80"} 600`,
		`connectionsd_scope_send_bytes_per_second{direction="outgoing",scope="80"} 4`,
		`connectionsd_scope_sent_bytes{direction="incoming",scope="80"} 9007`,
		`connectionsd_scope_sent_bytes{direction="outgoing",scope="80"} 2`,
	}
	if diff := cmp.Diff(want, scrape(t, handler, "connectionsd_connections_", "connectionsd_scope_")); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

// Whom the host is connected to, as whose, and what programs were started with is not in the metrics.
func TestMetricsNameNoPeers(t *testing.T) {
	h := new(host)
	nginx := h.process("nginx", model.NoContainer)
	h.snap.Owners[nginx].Command = "nginx -g pass"
	h.listens(nginx, 80)
	h.add(1, model.Socket{
		State: model.Established, Family: unix.AF_INET, UID: 54321, InfoLen: 232,
		LocalIP: netip.MustParseAddr("192.0.2.1").As16(), LocalPort: 80, RemoteIP: netip.MustParseAddr("203.0.113.7").As16(), RemotePort: 45678,
	}, model.Known{Owner: nginx, Container: model.NoContainer, Incoming: true})
	all := strings.Join(scrape(t, New(time.Now).Handler(h.options()), ""), "\n")
	if !strings.Contains(all, `process="nginx",state="ESTABLISHED"} 1`) {
		t.Fatalf("the connection is not counted:\n%s", all)
	}
	for _, secret := range []string{"192.0.2.1", "203.0.113.7", `"45678"`, `"54321"`, "pass"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is in the metrics", secret)
		}
	}
}

// A daemon that is one node tells of that node's sockets alone.
func TestSocketsOfOneNode(t *testing.T) {
	h := small()
	redis := h.process("redis-server", model.NoContainer)
	h.listens(redis, 6379)
	h.connected(4, redis, true, 6379, 1, 1, 0, 0)
	o := h.options()
	o.Scope = 80
	want := []string{
		`connectionsd_scope_connections{direction="incoming",scope="80"} 3`,
		`connectionsd_scope_connections{direction="outgoing",scope="80"} 1`,
		`connectionsd_sockets{container="",direction="",process="nginx",state="LISTEN"} 1`,
		`connectionsd_sockets{container="",direction="outgoing",process="nginx",state="ESTABLISHED"} 1`,
		`connectionsd_sockets{container="web",direction="incoming",process="nginx",state="CLOSE_WAIT"} 1`,
		`connectionsd_sockets{container="web",direction="incoming",process="nginx",state="ESTABLISHED"} 2`,
	}
	if diff := cmp.Diff(want, scrape(t, New(time.Now).Handler(o), "connectionsd_sockets{", "connectionsd_scope_connections")); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]collector.Want{{Owners: true, ListenerOwners: true, Containers: true, Scope: 80}}, h.wants); diff != "" {
		t.Errorf("what was asked for (-want +got):\n%s", diff)
	}
}

// However many processes there are, no more than 50 are told by name, those with the most sockets, and no socket is lost.
func TestGroupsAreBounded(t *testing.T) {
	h := new(host)
	for i := range 200 {
		h.connected(i+1, h.process(fmt.Sprintf("p%03d", i), model.NoContainer), i%2 == 0, 1, 1, 0, 0, 0)
	}
	lines := scrape(t, New(time.Now).Handler(h.options()), "connectionsd_sockets{", "connectionsd_connections_received_bytes")
	var named, sum int
	rest := make(map[string]int)
	for _, line := range lines {
		var n int
		if _, err := fmt.Sscanf(line[strings.LastIndex(line, " "):], "%d", &n); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(line, otherProcesses) && strings.Contains(line, otherContainers):
			rest[line[:strings.LastIndex(line, " ")]] = n
		case strings.HasPrefix(line, "connectionsd_sockets{"):
			named++
			sum += n
		}
	}
	// Of p000 to p199 the last 50 have 151 to 200 sockets each, and the others 1 to 150, of which half are incoming.
	if named != 50 || sum != 50*(151+200)/2 {
		t.Errorf("%d by name with %d sockets, want 50 with %d", named, sum, 50*(151+200)/2)
	}
	labels := `{container="(other containers)",direction=%q,process="(other processes)"`
	want := map[string]int{
		"connectionsd_sockets" + fmt.Sprintf(labels, "incoming") + `,state="ESTABLISHED"}`: 75 * 75,
		"connectionsd_sockets" + fmt.Sprintf(labels, "outgoing") + `,state="ESTABLISHED"}`: 75 * 76,
		"connectionsd_connections_received_bytes" + fmt.Sprintf(labels, "incoming") + "}":  75 * 75,
		"connectionsd_connections_received_bytes" + fmt.Sprintf(labels, "outgoing") + "}":  75 * 76,
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
	if got := scrape(t, New(time.Now).Handler(h.options()), "connectionsd_sockets_groups"); !cmp.Equal(got, []string{"connectionsd_sockets_groups 200"}) {
		t.Errorf("%q", got)
	}
}

// Names are what others chose. What is no UTF-8 fails no scrape, and two names that become the same are one.
func TestForeignNames(t *testing.T) {
	h := new(host)
	h.snap.Containers = []model.Container{{Runtime: "docker", ID: strings.Repeat("0", 64), Name: strings.Repeat("é", 100)}}
	h.connected(1, h.process("a\xff", model.NoContainer), true, 1, 0, 0, 0, 0)
	h.connected(2, h.process("a\xfe", model.NoContainer), true, 1, 0, 0, 0, 0)
	h.connected(1, h.process("q\"\\\n}", model.NoContainer), true, 1, 0, 0, 0, 0)
	h.add(1, model.Socket{State: model.Established}, model.Known{Owner: model.NoOwner, Container: 0})
	want := []string{
		`connectionsd_sockets{container="",direction="incoming",process="a` + "\ufffd" + `",state="ESTABLISHED"} 3`,
		`connectionsd_sockets{container="",direction="incoming",process="q\"\\\n}",state="ESTABLISHED"} 1`,
		`connectionsd_sockets{container="` + strings.Repeat("é", 64) + `",direction="outgoing",process="",state="ESTABLISHED"} 1`,
	}
	if diff := cmp.Diff(want, scrape(t, New(time.Now).Handler(h.options()), "connectionsd_sockets{")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The scopes are those that get_connections has, of the 20 ports that have accepted the most connections.
func TestScopes(t *testing.T) {
	h := new(host)
	both, shared := h.process("monerod", model.NoContainer), h.process("worker", model.NoContainer)
	h.listens(both, 18080)
	h.listens(both, 18081)
	h.snap.Sockets[0].Inode = 7
	h.snap.Shared = []model.SharedListener{{Inode: 7, Owner: shared}}
	h.connected(5, both, true, 18080, 1, 1, 1, 1)
	h.connected(3, both, true, 18081, 1, 1, 1, 1)
	h.connected(4, both, false, 50000, 1, 1, 1, 1)
	h.connected(2, shared, true, 18080, 1, 1, 1, 1)
	h.connected(9, h.process("stranger", model.NoContainer), true, 18080, 1, 1, 1, 1)
	h.connected(9, model.NoOwner, true, 18080, 1, 1, 1, 1)
	for port := uint16(100); port < 130; port++ {
		owner := h.process("server", model.NoContainer)
		h.listens(owner, port)
		h.connected(1, owner, true, port, 1, 1, 1, 1)
	}
	got := takeCensus(&h.snap, 0).scopes
	if len(got) != maxScopes {
		t.Fatalf("%d scopes, want %d", len(got), maxScopes)
	}
	wantPorts := []uint16{18080, 18081}
	for port := uint16(100); port < 118; port++ {
		wantPorts = append(wantPorts, port)
	}
	for i, port := range wantPorts {
		if got[i].port != port {
			t.Errorf("scope %d is of port %d, want %d", i, got[i].port, port)
			continue
		}
		of := h.snap.Scope(port)
		var want [directions]traffic
		for i := range h.snap.Sockets {
			if of.Match(&h.snap, i) {
				want[directionOf(&h.snap, i)].add(&h.snap.Sockets[i], &h.snap.Known[i])
			}
		}
		if got[i].traffic != want {
			t.Errorf("scope %d is %+v, want %+v", port, got[i].traffic, want)
		}
	}
	if n := got[0].traffic[incoming].connections; n != 7 {
		t.Errorf("18080 has accepted %d, want those 7 of its own processes", n)
	}
}

// Those who ask at the same time share one dump, and those who come within a second of it have the same: metrics can be
// outside the rate limit.
func TestScrapesShareDumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := small()
		h.takes = 400 * time.Millisecond
		handler := New(time.Now).Handler(h.options())
		began := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { scrape(t, handler) })
		}
		all.Wait()
		if took := time.Since(began); took != h.takes || len(h.wants) != 1 || h.released != 1 {
			t.Errorf("ten at once: %d dumps, of which %d given back, in %v; want 1, 1, %v", len(h.wants), h.released, took, h.takes)
		}
		if got := scrape(t, handler, "connectionsd_sockets_duration_seconds"); !cmp.Equal(got, []string{"connectionsd_sockets_duration_seconds 0.4"}) {
			t.Errorf("%q", got)
		}
		time.Sleep(keepsFor - time.Millisecond)
		scrape(t, handler)
		if len(h.wants) != 1 {
			t.Errorf("%d dumps within a second, want 1", len(h.wants))
		}
		time.Sleep(time.Millisecond)
		scrape(t, handler)
		if len(h.wants) != 2 {
			t.Errorf("%d dumps after a second, want 2", len(h.wants))
		}
	})
}

// Where the dump fails the rest is told all the same, and why is in the log.
func TestDumpFails(t *testing.T) {
	h := small()
	h.err = errors.New("netlink: no buffer space")
	var log bytes.Buffer
	o := h.options()
	o.Log = zerolog.New(&log)
	got := scrape(t, New(time.Now).Handler(o), "connectionsd_sockets", "connectionsd_scope", "connectionsd_build_info")
	if len(got) != 3 || got[0] != `connectionsd_build_info{goversion="go1.26.8",revision="0123abcd",version="v1.2.3"} 1` || got[2] != "connectionsd_sockets_up 0" {
		t.Errorf("%q, want that it is not up", got)
	}
	if want := `{"level":"error","error":"take a snapshot: netlink: no buffer space","message":"the sockets could not be counted for /metrics"}` + "\n"; log.String() != want {
		t.Errorf("logged %q, want %q", log.String(), want)
	}
}

// Who leaves while another's dump goes on is not waited for, and gets nothing.
func TestScraperLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := small()
		h.takes = time.Hour
		handler := New(time.Now).Handler(h.options())
		first := make(chan struct{})
		go func() { scrape(t, handler); close(first) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
		if took := time.Since(began); took != time.Minute || answer.Body.Len() != 0 {
			t.Errorf("answered %d bytes after %v, want none after a minute", answer.Body.Len(), took)
		}
		<-first
	})
}

// many is a host of n connections of 40 processes.
func many(n int) *host {
	h := new(host)
	for i := range 40 {
		owner := h.process(fmt.Sprintf("server-%d", i), model.NoContainer)
		h.listens(owner, uint16(1000+i))
		h.connected(n/40, owner, true, uint16(1000+i), 1, 1, 1, 1)
	}
	return h
}

// What counting takes of memory goes by the processes, not by the sockets.
func TestCensusAllocations(t *testing.T) {
	allocations := func(n int) float64 {
		h := many(n)
		return testing.AllocsPerRun(10, func() { takeCensus(&h.snap, 0) })
	}
	if few, lots := allocations(400), allocations(40_000); few != lots {
		t.Errorf("%v allocations for 400 connections, %v for 40,000: want no more", few, lots)
	}
}

func BenchmarkCensus(b *testing.B) {
	h := many(100_000)
	b.ReportAllocs()
	for b.Loop() {
		takeCensus(&h.snap, 0)
	}
}
