//go:build linux && interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sockets is the answer of GET /api/connections.
type sockets struct {
	Listeners   []listener
	Connections []flow
}

// listener is a Listener of GET /api/connections. What the daemon leaves out is
// zero.
type listener struct {
	PID                int
	ProcessName        string
	ServiceLabel       string
	ContainerName      string
	ProcessIconType    string
	Address            string
	AddressDescription string
	Port               int
	Cmd                string
	NetNS              string
	Socket             socket
}

// flow is a Flow of GET /api/connections.
type flow struct {
	FromPID         int
	FromProcessName string
	FromAddress     string
	FromPort        int
	ToAddress       string
	ToPort          int
	ToLabel         string
	NetNS           string
	Socket          socket
}

// socket is what the member socket tells of the container and the namespace. It
// is the same in both faces.
type socket struct {
	ContainerID      string `json:"container_id"`
	ContainerName    string `json:"container_name"`
	ContainerRuntime string `json:"container_runtime"`
	ContainerPodUID  string `json:"container_pod_uid"`
	NetNS            uint32 `json:"netns"`
	PID              int    `json:"pid"`
	ProcessName      string `json:"process_name"`
}

// inTime is how long any answer may take, whatever becomes of the containers'
// engines.
const inTime = time.Second

// newWatcher is newClient, for a client that waits inTime and no longer.
func newWatcher(t *testing.T, url string) *client {
	t.Helper()
	c := newClient(t, url)
	c.http.Timeout = inTime
	return c
}

// sockets asks GET /api/connections.
func (c *client) sockets(t *testing.T) sockets {
	t.Helper()
	var answer sockets
	status, text := c.get(t, "/api/connections?extended=true")
	if status != http.StatusOK {
		t.Fatalf("GET /api/connections: %d %s", status, text)
	}
	decode(t, text, &answer)
	return answer
}

// degraded is what the daemon does without as to a feature, by /readyz, whether
// it is ready or only begins.
func (c *client) degraded(t *testing.T, feature string) []string {
	t.Helper()
	var answer struct {
		Degraded []struct{ Feature, Reason string }
	}
	status, text := c.get(t, "/readyz")
	if status != http.StatusOK && status != http.StatusServiceUnavailable {
		t.Fatalf("GET /readyz: %d %s", status, text)
	}
	decode(t, text, &answer)
	var reasons []string
	for _, d := range answer.Degraded {
		if d.Feature == feature {
			reasons = append(reasons, d.Reason)
		}
	}
	return reasons
}

func (c *client) get(t *testing.T, path string) (status int, text []byte) {
	t.Helper()
	response, err := c.http.Get(c.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}

// at returns the listeners on a port, in the order of their addresses.
func (s sockets) at(port int) []listener {
	var found []listener
	for _, l := range s.Listeners {
		if l.Port == port {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b listener) int { return strings.Compare(a.Address, b.Address) })
	return found
}

// only returns the one listener on a port.
func (s sockets) only(t *testing.T, port int) listener {
	t.Helper()
	found := s.at(port)
	if len(found) != 1 {
		t.Fatalf("%d listeners on port %d, want one: %+v", len(found), port, found)
	}
	return found[0]
}

// between returns the flow with these ends. Its ok is false where there is none.
func (s sockets) between(from, to string) (f flow, ok bool) {
	i := slices.IndexFunc(s.Connections, func(f flow) bool {
		return join(f.FromAddress, f.FromPort) == from && join(f.ToAddress, f.ToPort) == to
	})
	if i < 0 {
		return flow{}, false
	}
	return s.Connections[i], true
}

// of returns the flow that a connection of the test's is.
func (s sockets) of(t *testing.T, c net.Conn) flow {
	t.Helper()
	f, ok := s.between(c.LocalAddr().String(), c.RemoteAddr().String())
	if !ok {
		t.Fatalf("no flow from %s to %s in %+v", c.LocalAddr(), c.RemoteAddr(), s.Connections)
	}
	return f
}

// ends returns the flows of a connection of the test's, from this end and from
// the other, as soon as a process has taken it there.
func (c *client) ends(t *testing.T, conn net.Conn) (ours, theirs flow) {
	t.Helper()
	eventually(t, 5*time.Second, func() (bool, string) {
		answer := c.sockets(t)
		var ok bool
		ours = answer.of(t, conn)
		theirs, ok = answer.between(conn.RemoteAddr().String(), conn.LocalAddr().String())
		return ok && theirs.FromPID != 0, fmt.Sprintf("the owner of the end of %s at %s", conn.LocalAddr(), conn.RemoteAddr())
	})
	return ours, theirs
}

// recordOf returns the record of get_connections that has these ends, and its
// member socket.
func recordOf(t *testing.T, c *client, local, remote string) (record, socket) {
	t.Helper()
	for _, r := range must[[]record](t)(c.connections(`{"extended":true}`)) {
		detail, ok := r["socket"].(map[string]any)
		if !ok {
			t.Fatalf("record without socket: %v", r)
		}
		if detail["local_address"] != local || r["address"] != remote {
			continue
		}
		text, err := json.Marshal(detail)
		if err != nil {
			t.Fatal(err)
		}
		var s socket
		decode(t, text, &s)
		return r, s
	}
	t.Fatalf("no record of %s with %s", local, remote)
	return nil, socket{}
}

func join(address string, port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

// connect opens a connection that ends with the test.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// netNS is the network namespace of a process: its inode, and as its link has
// it.
func netNS(t *testing.T, pid int) (inode uint32, link string) {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(link, "net:[%d]", &inode); err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	return inode, link
}

// ownName is the name that the test runs under.
func ownName(t *testing.T) string {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(comm))
}
