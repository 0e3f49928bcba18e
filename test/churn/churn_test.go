//go:build linux

package churn_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/test/churn"
)

// Variables that the environment can have: how many requests each test makes,
// and the path of the daemon, which is built otherwise.
const (
	requestsVariable = "CHURN_REQUESTS"
	daemonVariable   = "CHURN_DAEMON"
)

// binaries is where the daemon is built; TestMain removes it.
var binaries = filepath.Join(os.TempDir(), fmt.Sprintf("connectionsd-churn-%d", os.Getpid()))

var daemon = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(daemonVariable); path != "" {
		return path, nil
	}
	path := filepath.Join(binaries, "connectionsd")
	out, err := exec.Command("go", "build", "-o", path, "github.com/connectionsd/connectionsd/cmd/connectionsd").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// requests returns how many requests a test makes.
func requests(t *testing.T, otherwise int) int {
	t.Helper()
	value := os.Getenv(requestsVariable)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number of requests from 1 on", requestsVariable, value)
	}
	return n
}

// rate is how many connections are opened a second, and as many closed; with
// slowRate there are so few that dumps of many sockets are made in parts.
const (
	rate     = 5000
	slowRate = 200
)

// With 5,000 connections opened and closed a second, every connection that lives
// through a request is in its answer exactly once, with the right owner and
// direction.
func TestTruthUnderChurn(t *testing.T) {
	for _, test := range []struct {
		name    string
		buckets int // of the kernel's table of connections; 0: the host's
		bpf     string
		held    int
		rate    int  // 0: rate
		long    bool // for long runs
	}{
		{name: "BPF", bpf: "on", held: 128},
		{name: "proc", bpf: "off", held: 128},
		// A dump passes sockets over, or repeats them, where others of the same bucket
		// close or open meanwhile.
		{name: "64 buckets, BPF", buckets: 64, bpf: "on", held: 128},
		{name: "64 buckets, proc", buckets: 64, bpf: "off", held: 128},
		{name: "in parts, BPF", bpf: "on", held: 4000, rate: slowRate},
		{name: "in parts, proc", bpf: "off", held: 4000, rate: slowRate, long: true},
		// So many descriptors are remembered from one look at the processes to the next.
		{name: "many, BPF", bpf: "on", held: 6000, long: true},
		{name: "many, proc", bpf: "off", held: 6000, long: true},
	} {
		if test.long && os.Getenv(requestsVariable) == "" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			if test.bpf == "on" {
				needsBPF(t)
			}
			if test.rate == 0 {
				test.rate = rate
			}
			path, err := daemon()
			if err != nil {
				t.Fatalf("build the daemon: %v", err)
			}
			defer goleak.VerifyNone(t)
			r, err := churn.Run(t.Context(), churn.Options{
				Daemon: path, Flags: []string{"--bpf", test.bpf}, Buckets: test.buckets,
				Holders: 2, Rate: test.rate, Held: test.held, Requests: requests(t, 28), Seed: rand.Uint64(),
			})
			if errors.Is(err, churn.ErrNoBuckets) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			for q, counts := range r.ByQuery {
				t.Logf("%s: %v", q, counts)
			}
			for _, f := range r.Findings {
				if f.InPassing() {
					t.Log(f) // of one that did not live through the request: it is not known yet how to tell it better
				} else {
					t.Error(f)
				}
			}
			if strings.Contains(r.Log, `"level":"error"`) {
				t.Errorf("the daemon said:\n%s", r.Log)
			}
			if r.Ends == 0 {
				t.Error("no connection lived through a request: the test tests nothing")
			}
			if r.Rate() < float64(test.rate)/2 {
				t.Logf("%.0f connections a second, want %d: this machine is too slow, or too busy, to tell much", r.Rate(), test.rate)
			}
		})
	}
}

// needsBPF skips a test that takes BPF where it cannot be had.
func needsBPF(t *testing.T) {
	t.Helper()
	it, err := owner.OpenIterator()
	if err != nil {
		t.Skip(err)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}
