//go:build linux && interop

package interop_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// generated is how many requests schemathesis makes up for each operation,
// beside those that it derives from each parameter's bounds.
const generated = "50"

// schemathesisReport is what we read of schemathesis's report.
type schemathesisReport struct {
	Complete   bool
	Operations struct{ Total, Tested, Errored int }
	TestCases  struct{ Generated int } `json:"test_cases"`
	Failures   []json.RawMessage
	Errors     []json.RawMessage
}

// TestSchemathesis lets schemathesis read /openapi.yaml and make requests of
// it, right and wrong ones. Whatever is answered must be as the document says,
// what it allows must be taken and what it forbids be refused. It makes up the
// same requests each time.
func TestSchemathesis(t *testing.T) {
	hosts(t)
	openVariety(t)
	d := serve(t)
	document := d.url + "/openapi.yaml"
	output(t, nil, peer(t, "schemathesis", "bin", "python"), filepath.Join("schemathesis", "valid.py"), document)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir() // for what it remembers of a run
	path := filepath.Join(dir, "report.json")
	config, err := filepath.Abs(filepath.Join("schemathesis", "schemathesis.toml"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(
		ctx, peer(t, "schemathesis", "bin", "schemathesis"), "--config-file", config, "run", document, "--url", d.url,
		"--checks", "all", "--generation-deterministic", "--max-examples", generated, "--continue-on-failure",
		"--no-color", "--report", "json", "--report-json-path", path,
	)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("schemathesis: %v\n%s", err, said)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var report schemathesisReport
	decode(t, text, &report)
	ran := report.Operations
	if !report.Complete || ran.Total == 0 || ran.Tested != ran.Total || ran.Errored != 0 || len(report.Failures)+len(report.Errors) != 0 {
		t.Errorf("schemathesis: %+v\n%s", report, said)
	}
	t.Logf("%d requests of %d operations", report.TestCases.Generated, ran.Tested)
}

// openVariety opens listeners and connections of every kind of address, one of
// them closed by its one end. They are there until the test ends.
func openVariety(t *testing.T) {
	t.Helper()
	for _, pair := range []struct{ listen, dial string }{
		{"0.0.0.0:0", "127.0.0.1"},
		{"127.0.0.1:0", "127.0.0.1"},
		{"10.1.0.2:0", "10.1.0.2"},
		{"[::]:0", "198.51.100.1"}, // IPv4 in IPv6
		{"[::1]:0", "::1"},
		{"[2001:db8::1]:0", "2001:db8::1"},
		{"[fe80::1%lo]:0", "fe80::1%lo"},
	} {
		l, err := net.Listen("tcp", pair.listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := net.Dial("tcp", net.JoinHostPort(pair.dial, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { near.Close() })
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { far.Close() })
		if pair.listen == "127.0.0.1:0" {
			if err := near.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
