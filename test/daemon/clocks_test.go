//go:build linux

package daemon_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wallClock are the places where the program reads or makes a time of day. All else counts by differences of time.Now, which
// Go takes from the monotonic clock, or by what the kernel counts: so setting the clock of the host, which a test must not do,
// changes no age, no rate, no deadline and no limit.
var wallClock = map[string][]string{
	"../../cmd/connectionsd/log.go":    {"Format", "UTC"},        // the time of a log line
	"../../collector/container/api.go": {"Unix"},                 // from when on an engine is to tell of events
	"../../collector/process/start.go": {"time.Unix"},            // start_time of get_info and get_net_stats
	"../../metrics/dumps.go":           {"UnixMilli"},            // the time of the last dump
	"../../rpc/node.go":                {"Unix", "Unix", "Unix"}, // adjusted_time and start_time
}

// The wall clock is read in the places that are to tell the time of day, and nowhere else.
func TestWhereTheWallClockIsRead(t *testing.T) {
	methods := []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano", "Format", "AppendFormat", "UTC", "MarshalJSON"}
	functions := []string{"Unix", "UnixMilli", "UnixMicro", "Date", "Parse"}
	got := make(map[string][]string)
	for _, root := range []string{"cmd", "collector", "metrics", "model", "privilege", "rpc"} {
		err := filepath.WalkDir("../../"+root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				name := selector.Sel.Name
				of, _ := selector.X.(*ast.Ident)
				switch {
				case strings.HasPrefix(name, "CLOCK_REALTIME"), name == "Gettimeofday":
					got[path] = append(got[path], name)
				case of != nil && of.Name == "time":
					if slices.Contains(functions, name) {
						got[path] = append(got[path], "time."+name)
					}
				case of == nil && slices.Contains(methods, name): // of what a call returns, or of a field
					got[path] = append(got[path], name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, names := range got {
		slices.Sort(names)
	}
	if diff := cmp.Diff(wallClock, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ages are right where the clocks that count them are far from those of the host: none is subtracted from another.
func TestAnotherTimeNamespace(t *testing.T) {
	needsRootOfTheHost(t, "a time namespace")
	if out, err := exec.CommandContext(t.Context(), "unshare", "--time", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("the kernel has no time namespaces (CONFIG_TIME_NS): %s", out)
	}
	before, _ := openPair(t, "tcp4", "127.0.0.1:0")
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	d := start(t, under(command(t, "serve", "--rpc-bind-port", "0", "--log-format", "json", "--scope", port),
		`exec unshare --time --monotonic 10000000 --boottime 10000000 --fork "$0" "$@"`))
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", d.cmd.Process.Pid, d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { // unshare heeds no signal, and ends as the daemon does
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	after, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	const most = 60 // seconds since this test began
	for name, remote := range map[string]string{"before the daemon": before.RemoteAddr().String(), "after it": after.RemoteAddr().String()} {
		r := ofRemote(t, d.connections(`{}`), remote)
		if r.LiveTime > most || r.SendIdleTime > most || r.RecvIdleTime > most {
			t.Errorf("opened %s: live_time %d, send_idle_time %d, recv_idle_time %d, want at most %d", name, r.LiveTime, r.SendIdleTime, r.RecvIdleTime, most)
		}
	}
	status, _, body := d.get("/get_info")
	var info struct {
		AdjustedTime int64 `json:"adjusted_time"`
		StartTime    int64 `json:"start_time"`
	}
	if err := json.Unmarshal([]byte(body), &info); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	// The process that listens on the port of the scope is this one.
	for name, at := range map[string]int64{"adjusted_time": info.AdjustedTime, "start_time": info.StartTime} {
		if off := time.Since(time.Unix(at, 0)).Abs(); off > 10*time.Minute {
			t.Errorf("%s is %s away from now", name, off)
		}
	}
	end()
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, d.log)
	}
}
