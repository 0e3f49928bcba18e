package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
)

// connect opens a connection to a listener of its own at address, sends 1500 bytes over it and reads 10 bytes that come
// back.
func connect(t *testing.T, address string) (opened, accepted net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if opened, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	if accepted, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	send(t, opened, accepted, 1500)
	send(t, accepted, opened, 10)
	return opened, accepted
}

func send(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	if _, err := from.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// listOutput runs connectionsd list with args. It must succeed and say nothing on stderr but what this process lacks.
func listOutput(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	// Other namespaces than that of the tests are other people's.
	if code := run(t.Context(), append([]string{"list", "--netns=self", "--container-api=none"}, args...), &stdout, &stderr, nil); code != exitOK {
		t.Fatalf("exit code %d, want 0; stderr %q", code, stderr.String())
	}
	var want bytes.Buffer
	if err := sayWhatIsMissing(collector.NetNS{}, &want); err != nil {
		t.Fatal(err)
	}
	if got := stderr.String(); got != want.String() {
		t.Errorf("stderr %q, want %q", got, want.String())
	}
	return stdout.String()
}

// ownName returns the name of this process.
func ownName(t *testing.T) string {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(comm), "\n")
}

func TestList(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			began := time.Now()
			opened, accepted := connect(t, address)
			table := listOutput(t)
			elapsed := time.Since(began)

			lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
			heading := []string{"DIR", "STATE", "LOCAL", "REMOTE", "AGE", "RECV", "SENT", "PID", "PROCESS", "CONTAINER"}
			if diff := cmp.Diff(heading, strings.Fields(lines[0])); diff != "" {
				t.Errorf("heading (-want +got):\n%s", diff)
			}
			pid, name := strconv.Itoa(os.Getpid()), ownName(t)
			for _, want := range [][]string{
				{"out", "ESTABLISHED", opened.LocalAddr().String(), opened.RemoteAddr().String(), "", "10", "1.4Ki", pid, name, "-"},
				{"in", "ESTABLISHED", accepted.LocalAddr().String(), accepted.RemoteAddr().String(), "", "1.4Ki", "10", pid, name, "-"},
			} {
				i := slices.IndexFunc(lines, func(line string) bool {
					return strings.Contains(line, " "+want[2]+" ") && strings.HasPrefix(line, want[0])
				})
				if i < 0 {
					t.Fatalf("no connection %s %s in\n%s", want[0], want[2], table)
				}
				got := strings.Fields(lines[i])
				// The first look at a connection that has moved data knows a floor only.
				floor, err := time.ParseDuration(strings.TrimPrefix(got[4], ">"))
				if !strings.HasPrefix(got[4], ">") || err != nil || floor > elapsed {
					t.Errorf("age %q, want a floor of at most %v", got[4], elapsed)
				}
				want[4] = got[4]
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("line (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestListJSON(t *testing.T) {
	defer goleak.VerifyNone(t)
	opened, accepted := connect(t, "127.0.0.1:0")
	for _, tc := range []struct {
		name     string
		args     []string
		members  int
		extended bool
	}{
		{"monerod's members", []string{"--json"}, 25, false},
		{"extended", []string{"--json", "--extended"}, 26, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			output := listOutput(t, tc.args...)
			const begin, end = `{"connections":[`, `],"status":"OK","untrusted":false}` + "\n"
			if !strings.HasPrefix(output, begin) || !strings.HasSuffix(output, end) {
				t.Errorf("output %s, want it to begin with %s and end with %s", output, begin, end)
			}
			var result struct{ Connections []map[string]any }
			if err := json.Unmarshal([]byte(output), &result); err != nil {
				t.Fatal(err)
			}
			for _, want := range []struct {
				conn       net.Conn
				incoming   bool
				recv, sent float64
			}{
				{opened, false, 10, 1500},
				{accepted, true, 1500, 10},
			} {
				i := slices.IndexFunc(result.Connections, func(c map[string]any) bool {
					return c["address"] == want.conn.RemoteAddr().String() && c["incoming"] == want.incoming
				})
				if i < 0 {
					t.Fatalf("no connection with %v in\n%s", want.conn.RemoteAddr(), output)
				}
				got := result.Connections[i]
				if len(got) != tc.members {
					t.Errorf("%d members, want %d", len(got), tc.members)
				}
				if got["state"] != "normal" || got["recv_count"] != want.recv || got["send_count"] != want.sent {
					t.Errorf("state %v, recv_count %v, send_count %v; want normal, %v, %v",
						got["state"], got["recv_count"], got["send_count"], want.recv, want.sent)
				}
				socket, extended := got["socket"].(map[string]any)
				if extended != tc.extended {
					t.Fatalf("member socket: %v, want %v", extended, tc.extended)
				}
				if !extended {
					continue
				}
				picked := map[string]any{}
				for _, member := range []string{"local_address", "pid", "process_name", "tcp_state"} {
					picked[member] = socket[member]
				}
				if diff := cmp.Diff(map[string]any{
					"local_address": want.conn.LocalAddr().String(), "pid": float64(os.Getpid()),
					"process_name": ownName(t), "tcp_state": "ESTABLISHED",
				}, picked); diff != "" {
					t.Errorf("socket (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// Without the capabilities to look into other users' processes list says so, and still succeeds.
func TestListUnprivileged(t *testing.T) {
	// Capabilities are a thread's. They are only taken out of the effective ones, so they can be put back.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		t.Fatal(err)
	}
	without := before
	without[0].Effective &^= 1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_SYS_ADMIN
	if err := unix.Capset(&header, &without[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&header, &before[0]); err != nil {
			t.Error(err)
		}
	}()
	for _, tc := range []struct {
		args []string
		want string // how stdout begins
	}{
		{[]string{"list", "--netns=self"}, "DIR "},
		{[]string{"list", "--netns=all"}, "DIR "},
		{[]string{"list", "--json", "--netns=self"}, `{"connections":[`},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), tc.args, &stdout, &stderr, nil); code != exitOK {
			t.Errorf("%v: exit code %d, want 0", tc.args, code)
		}
		want := "connectionsd: the owners of other users' sockets stay unknown without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; " +
			"containers are told by their processes alone without CAP_DAC_READ_SEARCH"
		if tc.args[1] == "--netns=all" {
			want += "; other network namespaces cannot be collected without CAP_SYS_ADMIN and CAP_SYS_PTRACE"
		}
		if got := stderr.String(); got != want+"\n" {
			t.Errorf("%v: stderr %q, want %q", tc.args, got, want)
		}
		if !strings.HasPrefix(stdout.String(), tc.want) {
			t.Errorf("%v: stdout %q, want it to begin with %q", tc.args, stdout.String(), tc.want)
		}
	}
}

func TestListFailsToPrint(t *testing.T) {
	defer goleak.VerifyNone(t)
	r, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	r.Close()
	for _, args := range [][]string{{"list", "--netns=self"}, {"list", "--json", "--netns=self"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, broken, &stderr, nil); code != exitFailure {
			t.Errorf("%v: exit code %d, want 1", args, code)
		}
		// Before it may stand what this process lacks.
		if want := "connectionsd: print the connections: write |1: broken pipe\n"; !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("%v: stderr %q, want it to end in %q", args, stderr.String(), want)
		}
	}
}
