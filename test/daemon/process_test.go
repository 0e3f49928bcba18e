//go:build linux

package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries is where build builds; TestMain removes it.
var binaries = filepath.Join(os.TempDir(), fmt.Sprintf("connectionsd-test-%d", os.Getpid()))

// build builds the command once for all tests of the package.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "connectionsd")
	cmd := exec.Command("go", "build", "-o", path, "github.com/connectionsd/connectionsd/cmd/connectionsd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped: with C code in it there is no filter of system calls
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	// So that a daemon can be run as another user, who must reach it.
	return path, os.Chmod(binaries, 0o755)
})

// command returns a command line of the program.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	// Of this host only what the test makes is looked at, unless it says otherwise.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CONNECTIONSD_NETNS=self", "CONNECTIONSD_CONTAINER_API=none"}
	return cmd
}

// daemon is a running `connectionsd serve`.
type daemon struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string // http://127.0.0.1:PORT
	example string // the command line that it printed
	log     *bytes.Buffer
	exited  chan struct{}
}

// serve starts a daemon on a free port and waits until it answers.
func serve(t *testing.T, args ...string) *daemon {
	t.Helper()
	return serveAs(t, nil, args...)
}

// serveAs does so as another user.
func serveAs(t *testing.T, as *syscall.Credential, args ...string) *daemon {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--rpc-bind-port", "0", "--log-format", "json"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return start(t, cmd)
}

// start starts a daemon and waits until it answers.
func start(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, log: new(bytes.Buffer), exited: make(chan struct{})}
	d.cmd.Stderr = d.log
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		_ = d.cmd.Wait() // its exit code is in ProcessState
		close(d.exited)
	}()
	t.Cleanup(func() { d.stop(syscall.SIGTERM) })
	if err != nil {
		<-d.exited
		t.Fatalf("the daemon ended: %s", d.log)
	}
	d.example = strings.TrimSuffix(line, "\n")
	d.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	return d
}

// stop sends a signal, waits for the end and returns the exit code.
func (d *daemon) stop(signal os.Signal) int {
	_ = d.cmd.Process.Signal(signal) // it may have ended
	return d.wait()
}

// wait waits for the end and returns the exit code.
func (d *daemon) wait() int {
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		d.t.Error("the daemon did not end within 10 s")
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
	return d.cmd.ProcessState.ExitCode()
}

// record is one record of get_connections, with monerod's 25 members.
type record struct {
	Address           string `json:"address"`
	AddressType       int    `json:"address_type"`
	AvgDownload       uint64 `json:"avg_download"`
	AvgUpload         uint64 `json:"avg_upload"`
	ConnectionID      string `json:"connection_id"`
	CurrentDownload   uint64 `json:"current_download"`
	CurrentUpload     uint64 `json:"current_upload"`
	Height            uint64 `json:"height"`
	Host              string `json:"host"`
	Incoming          bool   `json:"incoming"`
	IP                string `json:"ip"`
	LiveTime          uint64 `json:"live_time"`
	LocalIP           bool   `json:"local_ip"`
	Localhost         bool   `json:"localhost"`
	PeerID            string `json:"peer_id"`
	Port              string `json:"port"`
	PruningSeed       uint64 `json:"pruning_seed"`
	RecvCount         uint64 `json:"recv_count"`
	RecvIdleTime      uint64 `json:"recv_idle_time"`
	RPCCreditsPerHash uint64 `json:"rpc_credits_per_hash"`
	RPCPort           uint64 `json:"rpc_port"`
	SendCount         uint64 `json:"send_count"`
	SendIdleTime      uint64 `json:"send_idle_time"`
	State             string `json:"state"`
	SupportFlags      uint64 `json:"support_flags"`
}

// connections calls get_connections with params (JSON).
func (d *daemon) connections(params string) []record {
	d.t.Helper()
	body := `{"jsonrpc":"2.0","id":"0","method":"get_connections","params":` + params + `}`
	response, err := http.Post(d.url+"/json_rpc", "application/json", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("status %s", response.Status)
	}
	var answer struct {
		Result struct {
			Connections []record
			Status      string
			Untrusted   bool
		}
		Error json.RawMessage
	}
	decoder := json.NewDecoder(response.Body)
	decoder.DisallowUnknownFields()
	var whole struct {
		ID      string          `json:"id"`
		JSONRPC string          `json:"jsonrpc"`
		Result  json.RawMessage `json:"result"`
		Error   json.RawMessage `json:"error"`
	}
	if err := decoder.Decode(&whole); err != nil {
		d.t.Fatal(err)
	}
	if whole.Error != nil || whole.ID != "0" || whole.JSONRPC != "2.0" {
		d.t.Fatalf("answer %+v, error %s", whole, whole.Error)
	}
	decoder = json.NewDecoder(bytes.NewReader(whole.Result))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer.Result); err != nil {
		d.t.Fatal(err)
	}
	if answer.Result.Status != "OK" || answer.Result.Untrusted {
		d.t.Errorf("status %q, untrusted %v", answer.Result.Status, answer.Result.Untrusted)
	}
	return answer.Result.Connections
}

// get returns the status, the headers and the body of a GET.
func (d *daemon) get(path string) (int, http.Header, string) {
	d.t.Helper()
	address, err := url.JoinPath(d.url, path)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := http.Get(address)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}
