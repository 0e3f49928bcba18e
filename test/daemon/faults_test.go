//go:build linux

package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// faultWithin is how long an answer may take while something is missing.
const faultWithin = 5 * time.Second

// asker asks on one connection, which it has before a fault begins.
type asker struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func (d *daemon) asker() *asker {
	d.t.Helper()
	conn, err := net.Dial("tcp4", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return &asker{d.t, conn, bufio.NewReader(conn)}
}

// get returns the status and the body of a GET, which must come in time.
func (a *asker) get(path string) (status int, body string) {
	a.t.Helper()
	if err := a.conn.SetDeadline(time.Now().Add(faultWithin)); err != nil {
		a.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(a.conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	return a.answer(path)
}

// answer reads the answer to what was asked.
func (a *asker) answer(path string) (status int, body string) {
	a.t.Helper()
	if err := a.conn.SetDeadline(time.Now().Add(faultWithin)); err != nil {
		a.t.Fatal(err)
	}
	response, err := http.ReadResponse(a.lines, nil)
	if err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	return response.StatusCode, string(text)
}

// sees reports whether the answer to GET /get_connections has a connection to remote.
func sees(body, remote string) bool {
	var answer struct {
		Status      string
		Connections []struct{ Address string }
	}
	if json.Unmarshal([]byte(body), &answer) != nil || answer.Status != "OK" {
		return false
	}
	for _, c := range answer.Connections {
		if c.Address == remote {
			return true
		}
	}
	return false
}

// allow sets how many files the daemon may have open from now on, and returns what it was.
func (d *daemon) allow(files uint64) (before uint64) {
	d.t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		d.t.Fatal(err)
	}
	before = limit.Cur
	limit.Cur = files
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		d.t.Fatal(err)
	}
	return before
}

// Without a file descriptor to open, what needs none is answered as ever, and what does with an error, which the log
// explains. Who connects waits. With descriptors again all is as before.
func TestNoFileDescriptors(t *testing.T) {
	d := serve(t, "--bpf", "off")
	opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
	remote := opener.RemoteAddr().String()
	owned := fmt.Sprintf(`"pid":%d,`, d.cmd.Process.Pid) // of the daemon's own listener
	before := d.asker()
	if status, body := before.get("/get_connections"); status != http.StatusOK || !sees(body, remote) {
		t.Fatalf("before: %d %s", status, body)
	}
	if status, body := before.get("/api/connections"); status != http.StatusOK || !strings.Contains(body, owned) {
		t.Fatalf("before: %d %s", status, body)
	}
	heldListener(t)   // whose owner is to be looked for
	was := d.allow(3) // there are no lower ones to be had than those of stdin, stdout and stderr
	for range 3 {
		if status, body := before.get("/get_connections"); status != http.StatusOK || !sees(body, remote) {
			t.Errorf("without descriptors: %d %s", status, body)
		}
		if status, body := before.get("/api/connections"); status != http.StatusInternalServerError || body != `{"error":"Failed to get connections"}` {
			t.Errorf("without descriptors: %d %s", status, body)
		}
	}
	waiting := d.asker()
	if _, err := fmt.Fprint(waiting.conn, "GET /get_connections HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}

	d.allow(was)
	if status, body := waiting.answer("/get_connections"); status != http.StatusOK || !sees(body, remote) {
		t.Errorf("who has waited for descriptors: %d %s", status, body)
	}
	again := d.asker()
	if status, body := again.get("/get_connections"); status != http.StatusOK || !sees(body, remote) {
		t.Errorf("with descriptors again: %d %s", status, body)
	}
	if status, body := again.get("/api/connections"); status != http.StatusOK || !strings.Contains(body, owned) {
		t.Errorf("with descriptors again: %d %s", status, body)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, says := range []string{"too many open files", "request failed"} {
		if !strings.Contains(d.log.String(), says) {
			t.Errorf("the log does not say %q:\n%s", says, d.log)
		}
	}
}

// A daemon that may open few files has few connections, says so, and answers however many clients it has.
func TestFewFileDescriptors(t *testing.T) {
	const files, clients = 40, 100
	d := start(t, under(command(t, "serve", "--rpc-bind-port", "0", "--log-format", "json", "--bpf", "off"), fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files)))
	opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
	for range clients {
		d.asker() // which says nothing
	}
	a := d.asker()
	if status, body := a.get("/get_connections"); status != http.StatusOK || !sees(body, opener.RemoteAddr().String()) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := a.get("/api/connections"); status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"pid":%d,`, os.Getpid())) {
		t.Errorf("%d %s", status, body)
	}
	const want = `{"feature":"connections","reason":"at most 20 connections, since the limit of open files is 40: raise it to 1256"}`
	if status, body := a.get("/readyz"); status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("/readyz: %d %s, want %s in it", status, body, want)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(d.log.String(), "too many open files") {
		t.Errorf("it ran out of descriptors:\n%s", d.log)
	}
}

// under returns cmd as run by a shell, which it takes the place of.
func under(cmd *exec.Cmd, script string) *exec.Cmd {
	shell := exec.Command("sh", append([]string{"-c", script, cmd.Path}, cmd.Args[1:]...)...)
	shell.Env = cmd.Env
	return shell
}

// A log that cannot be written to keeps nobody from an answer, and is written to again when it can be.
func TestFullLog(t *testing.T) {
	directory := t.TempDir()
	if err := unix.Mount("tmpfs", directory, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(directory, 0); err != nil {
			t.Error(err)
		}
	}()
	ballast, log := filepath.Join(directory, "ballast"), filepath.Join(directory, "log")
	for _, test := range []struct {
		name, file string
	}{
		{"a device that is always full", "/dev/full"},
		{"a file system that has been filled", log},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = file.Write(make([]byte, 4096))
			}
			file.Close()
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			cmd := command(t, "serve", "--rpc-bind-port", "0", "--log-format", "json", "--log-level", "debug")
			d := start(t, under(cmd, `exec "$0" "$@" 2>>`+test.file))
			opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
			a := d.asker()
			for range 20 {
				fmt.Fprint(d.asker().conn, "no HTTP\r\n\r\n") // is logged
				if status, body := a.get("/get_connections"); status != http.StatusOK || !sees(body, opener.RemoteAddr().String()) {
					t.Fatalf("%d %s", status, body)
				}
			}
			if test.file == log {
				if text, err := os.ReadFile(log); err != nil || len(text) != 0 {
					t.Errorf("the log has %q, %v, want that nothing has found room", text, err)
				}
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if code := d.stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if test.file == log {
				if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), `"message":"stopped"`) {
					t.Errorf("the log has %q, %v, want its last line at least", text, err)
				}
			}
		})
	}
}

// startWithout starts a daemon that gets an error from the kernel for each socket of sock_diag, as from one that has none.
func startWithout(t *testing.T, cmd *exec.Cmd) (d *daemon) {
	t.Helper()
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	// skip leaves so many instructions out unless the value is k.
	skip := func(k uint32, instructions uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: instructions, K: k}
	}
	end := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	// The offsets are those of struct seccomp_data: the number of the call, and the lower halves of its first and third argument.
	filter := []unix.SockFilter{
		load(0), skip(unix.SYS_SOCKET, 5),
		load(16), skip(unix.AF_NETLINK, 3),
		load(32), skip(unix.NETLINK_SOCK_DIAG, 1),
		end(unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)),
		end(unix.SECCOMP_RET_ALLOW),
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the filter is for the thread, and for what it starts
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
			t.Error(err)
			return
		}
		d = start(t, cmd)
	}()
	<-done
	if d == nil || t.Failed() {
		t.FailNow()
	}
	return d
}

// Where the kernel has no sock_diag, every answer is an error, and why is said in the log, once, and in /readyz and the metrics.
func TestNoSockDiag(t *testing.T) {
	d := startWithout(t, command(t, "serve", "--rpc-bind-port", "0", "--log-format", "json", "--bpf", "off"))
	a := d.asker()
	const reason = "dump the TCP sockets: open a sock_diag socket: protocol not supported: " +
		"the kernel has no sock_diag for TCP: want CONFIG_INET_DIAG and CONFIG_INET_TCP_DIAG, or modprobe tcp_diag"
	for range 3 {
		for _, test := range []struct {
			path   string
			status int
			body   string
		}{
			{"/get_connections", http.StatusInternalServerError, `{"error":{"code":-32603,"message":"Internal error"}}`},
			{"/api/connections", http.StatusInternalServerError, `{"error":"Failed to get connections"}`},
			{"/readyz", http.StatusServiceUnavailable, `{"status":"not ready","degraded":[{"feature":"dumps","reason":"` + reason + `"}],"error":"Failed to get connections"}`},
			{"/healthz", http.StatusOK, `{"status":"ok"}`},
		} {
			if status, body := a.get(test.path); status != test.status || body != test.body {
				t.Errorf("%s: %d %s, want %d %s", test.path, status, body, test.status, test.body)
			}
		}
	}
	if _, body := a.get("/metrics"); !strings.Contains(body, "connectionsd_degraded{feature=\"dumps\"} 1\n") {
		t.Error("/metrics does not say that there are no dumps")
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := strings.Count(d.log.String(), `"error":"`+reason+`","time"`); got != 1 {
		t.Errorf("the log says it %d times:\n%s", got, d.log)
	}
}

// Where /proc hides processes (hidepid of proc(5)), an ordinary user is told of its own and not of others', and that those are
// unknown is said once. Nothing else depends on it.
func TestHiddenProcesses(t *testing.T) {
	needsRootOfTheHost(t, "a /proc of its own, and another user,")
	mine, theirs := heldListener(t), heldListener(t)
	// A pid namespace of its own, since Linux before 5.8 has one hidepid for all that is mounted in a pid namespace.
	cmd := under(command(t, "serve", "--rpc-bind-port", "0", "--log-format", "json"), `
		mount -t proc -o hidepid=2 proc /proc || exit 1
		setpriv --reuid 65534 --regid 65534 --clear-groups sleep 60 4<&- &
		setpriv --reuid 65533 --regid 65533 --clear-groups sleep 60 3<&- &
		exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$@" 3<&- 4<&-`)
	cmd.ExtraFiles = []*os.File{mine.file, theirs.file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	d := start(t, cmd)
	mine.file.Close()
	theirs.file.Close()
	known := d.until(mine.port, func(s seen) bool { return s.Cmd == "sleep 60" }) // it may have been setpriv still
	if diff := cmp.Diff(seen{PID: known.PID, ProcessName: "sleep", Cmd: "sleep 60"}, known); diff != "" || known.PID == 0 {
		t.Errorf("of the same user: process %d (-want +got):\n%s", known.PID, diff)
	}
	if diff := cmp.Diff(seen{ProcessName: "unknown"}, d.listeners()[theirs.port]); diff != "" {
		t.Errorf("of another user (-want +got):\n%s", diff)
	}
	const want = `{"feature":"owners","reason":"the owners of other users' sockets stay unknown without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"}`
	if status, _, body := d.get("/readyz"); status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("/readyz: %d %s, want %s in it", status, body, want)
	}
	if code := d.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := strings.Count(d.log.String(), `"feature":"owners"`); got != 1 {
		t.Errorf("the log says it %d times:\n%s", got, d.log)
	}
}

// heldFile is a listener that only those have who are given the file.
type heldFile struct {
	file *os.File
	port int
}

func heldListener(t *testing.T) heldFile {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return heldFile{file, l.Addr().(*net.TCPAddr).Port}
}

// A network namespace that ends while its sockets are dumped makes no answer fail, and is gone from the answers soon.
func TestNamespacesThatEnd(t *testing.T) {
	needsRootOfTheHost(t, "to look into other network namespaces")
	d := serve(t, "--netns", "all", "--bpf", "off", "--rate-limit", "0")
	opener, _ := openPair(t, "tcp4", "127.0.0.1:0")
	asking, stop := context.WithCancel(t.Context())
	var askers sync.WaitGroup
	for _, path := range []string{"/get_connections", "/api/connections"} {
		a := d.asker()
		askers.Go(func() {
			for asking.Err() == nil {
				status, body := a.get(path)
				if path == "/get_connections" && !sees(body, opener.RemoteAddr().String()) || status != http.StatusOK {
					t.Errorf("%s: %d %.300s", path, status, body)
					return
				}
			}
		})
	}
	defer askers.Wait()
	defer stop()
	for range 3 {
		port, end := namespaceWithConnections(t, 300)
		if got := d.until(port, func(s seen) bool { return s.NetNS != "" }); got.NetNS == "" {
			t.Errorf("the namespace is not found: %+v", got)
		}
		end()
		if got := d.until(port, func(s seen) bool { return s == (seen{}) }); got != (seen{}) {
			t.Errorf("the namespace has ended, and is there: %+v", got)
		}
	}
}

// namespaceWithConnections makes a network namespace with a process, a listener and so many connections to it. end ends them
// all and with them the namespace.
func namespaceWithConnections(t *testing.T, connections int) (port int, end func()) {
	t.Helper()
	made, over, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: it is in another namespace
		var l net.Listener
		var all []net.Conn
		process := exec.Command("sleep", "60") // by which the namespace is found
		err := func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := process.Start(); err != nil {
				return err
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(lo); err != nil {
				return err
			}
			if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
				return err
			}
			port = l.Addr().(*net.TCPAddr).Port
			for range connections {
				conn, err := (&net.Dialer{Timeout: faultWithin}).Dial("tcp4", l.Addr().String())
				if err != nil {
					return err
				}
				all = append(all, conn)
				if conn, err = l.Accept(); err != nil {
					return err
				}
				all = append(all, conn)
			}
			return nil
		}()
		made <- err
		<-over
		if process.Process != nil {
			_ = process.Process.Kill() // it is there still
			_ = process.Wait()         // which says that it was killed
		}
		for _, conn := range all {
			conn.Close()
		}
		if l != nil {
			l.Close()
		}
	}()
	end = sync.OnceFunc(func() { close(over); <-ended })
	t.Cleanup(end)
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	return port, end
}
