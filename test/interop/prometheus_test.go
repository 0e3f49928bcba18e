//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	rulesFile     = "../../packaging/prometheus/connectionsd.rules.yaml"
	rulesTestFile = "../../packaging/prometheus/connectionsd.rules.test.yaml"
	dashboardFile = "../../packaging/grafana/connectionsd.json"
)

// promtool runs promtool(1), whose complaints are the test's.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The alert rules load, and are raised when their tests say.
func TestPrometheusRules(t *testing.T) {
	promtool(t, nil, "check", "rules", rulesFile)
	promtool(t, nil, "test", "rules", rulesTestFile)
}

// prometheus is a Prometheus that scrapes daemons.
type prometheus struct {
	*process
	url string
}

// startPrometheus starts one that scrapes targets (HOST:PORT by path) every second, with our rules.
func startPrometheus(t *testing.T, targets map[string]string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	fmt.Fprintf(&config, "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n", rules)
	for path, target := range targets {
		fmt.Fprintf(&config, "  - job_name: %q\n    metrics_path: %q\n    static_configs: [{targets: [%q]}]\n", "hosts"+path, path, target)
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "config", file)
	// A port that is free now: Prometheus does not tell which it has.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cmd := exec.Command("prometheus", "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	p := &prometheus{start(t, cmd, filepath.Join(dir, "prometheus.log")), "http://" + address}
	eventually(t, 30*time.Second, func() (bool, string) {
		if !p.running() {
			t.Fatalf("Prometheus has ended: %s", p.said())
		}
		response, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false, err.Error()
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK, response.Status
	})
	return p
}

// ask gets the data of one call of Prometheus's API.
func (p *prometheus) ask(t *testing.T, path string, query url.Values, data any) error {
	t.Helper()
	response, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// sample is a value with its labels.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query returns what an expression is now.
func (p *prometheus) query(t *testing.T, expr string) ([]sample, error) {
	t.Helper()
	var vector struct{ Result []sample }
	err := p.ask(t, "/api/v1/query", url.Values{"query": {expr}}, &vector)
	return vector.Result, err
}

// A real Prometheus scrapes the daemon, with and without a token, takes all that the dashboard asks for, and has nothing to
// alert of.
func TestPrometheus(t *testing.T) {
	const token = "scrape-scrape-scrape"
	open, guarded := serve(t), serve(t, "--access-token", token)
	ask := func(path string) []byte {
		t.Helper()
		response, err := http.Get(open.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, response.Status, err)
		}
		return body
	}
	ask("/get_connections")
	ask("/api/connections")
	promtool(t, bytes.NewReader(ask("/metrics")), "check", "metrics")

	p := startPrometheus(t, map[string]string{
		"/metrics": strings.TrimPrefix(open.url, "http://"), "/" + token + "/metrics": strings.TrimPrefix(guarded.url, "http://"),
	})
	eventually(t, 30*time.Second, func() (bool, string) {
		up, err := p.query(t, `min_over_time(up[3s]) == 1 and count_over_time(up[10s]) >= 4 and connectionsd_sockets_up == 1`)
		return len(up) == 2, fmt.Sprint(up, err)
	})
	listening, err := p.query(t, `sum by (state, direction, process, container) (connectionsd_sockets{job="hosts/metrics", state="LISTEN", process="prometheus"})`)
	if err != nil || len(listening) != 1 || listening[0].Value[1] != "1" {
		t.Errorf("Prometheus itself listens once, and there is %v (%v)", listening, err)
	}
	checkDashboard(t, p)

	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	eventually(t, 30*time.Second, func() (bool, string) {
		if err := p.ask(t, "/api/v1/rules", nil, &rules); err != nil {
			t.Fatal(err)
		}
		for _, group := range rules.Groups {
			for _, rule := range group.Rules {
				if rule.Health != "ok" {
					return false, fmt.Sprint(rule)
				}
			}
		}
		return len(rules.Groups) == 2, "rules"
	})
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.State == "firing" {
				t.Errorf("%s is raised, and all is well", rule.Name)
			}
		}
	}
}

// checkDashboard asks for all that the dashboard does, as Grafana would for all hosts.
func checkDashboard(t *testing.T, p *prometheus) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "5s")
	var empty []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			result, err := p.query(t, variables.Replace(target.Expr))
			if err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
			if len(result) == 0 && panel.Title != "Does without" { // which is as the host is
				empty = append(empty, panel.Title)
			}
		}
	}
	// Here nothing is in a container, nor waits.
	want := []string{
		"Sockets by container", "Waiting to be closed by their process (CLOSE_WAIT)", "Waiting for an answer (SYN_SENT)",
	}
	if diff := cmp.Diff(want, empty); diff != "" {
		t.Errorf("panels without anything to show (-want +got):\n%s", diff)
	}
}
