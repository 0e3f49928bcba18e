package docs_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const (
	dashboardFile = "../packaging/grafana/connectionsd.json"
	rulesFile     = "../packaging/prometheus/connectionsd.rules.yaml"
	rulesTestFile = "../packaging/prometheus/connectionsd.rules.test.yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var metricName = regexp.MustCompile(`connectionsd_[a-z_]+`)

// What the rules, their tests and the dashboard ask for is what docs/metrics.md describes, which a test of package metrics
// holds against what there is.
func TestMetricsThatAreAskedFor(t *testing.T) {
	described := make(map[string]bool)
	for line := range strings.Lines(read(t, "metrics.md")) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "| `"), "` | ")
		if !strings.HasPrefix(line, "| `connectionsd_") {
			continue
		}
		described[name] = true
		if strings.HasPrefix(rest, "histogram") {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				described[name+suffix] = true
			}
		}
	}
	for _, path := range []string{dashboardFile, rulesFile, rulesTestFile} {
		names := metricName.FindAllString(read(t, path), -1)
		if len(names) < 10 {
			t.Errorf("%s asks for %d metrics, want more", path, len(names))
		}
		for _, name := range names {
			if !described[name] {
				t.Errorf("%s asks for %s, which docs/metrics.md does not describe", path, name)
			}
		}
	}
}

// Every alert has a test of the time at which it is raised.
func TestAlertsAreTested(t *testing.T) {
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesFile)), &rules); err != nil {
		t.Fatal(err)
	}
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesTestFile)), &tests); err != nil {
		t.Fatal(err)
	}
	var there, raised []string
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			there = append(there, rule.Alert)
		}
	}
	for _, test := range tests.Tests {
		for _, alert := range test.Alerts {
			if len(alert.Want) > 0 {
				raised = append(raised, alert.Name)
			}
		}
	}
	slices.Sort(there)
	slices.Sort(raised)
	if diff := cmp.Diff(there, slices.Compact(raised)); diff != "" {
		t.Errorf("alerts (-there +raised in a test):\n%s", diff)
	}
}

// panel is a panel of a Grafana dashboard.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    struct{ H, W, X, Y int }
	Targets    []struct {
		RefID      string
		Expr       string
		Datasource struct{ UID string }
	}
}

// What Grafana would show wrongly, without saying so: panels that lie on one another or have the same id, queries of a data
// source that only one installation has, variables that there are not.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		UID, Title    string
		SchemaVersion int
		Panels        []panel
		Templating    struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID != "connectionsd" || dashboard.Title != "connectionsd" || dashboard.SchemaVersion < 36 {
		t.Errorf("it is %q (%s) of schema %d", dashboard.Title, dashboard.UID, dashboard.SchemaVersion)
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range dashboard.Templating.List {
		variables[v.Name] = true
	}
	used := regexp.MustCompile(`\$\{?(\w+)`)
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: the id %d is another's too", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W < 1 || p.GridPos.H < 1 {
			t.Errorf("%s: it is outside of the 24 columns: %+v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, there := taken[[2]int{x, y}]; there {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s: it asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s: it asks %q, want the data source that is chosen", p.Title, target.Datasource.UID)
			}
			if !strings.Contains(target.Expr, `{job=~"$job", instance=~"$instance"`) {
				t.Errorf("%s: %s does not go by the host that is chosen", p.Title, target.Expr)
			}
			for _, v := range used.FindAllStringSubmatch(target.Expr, -1) {
				if !variables[v[1]] {
					t.Errorf("%s: there is no variable %s", p.Title, v[1])
				}
			}
		}
	}
	if len(ids) < 30 {
		t.Errorf("%d panels, want all", len(ids))
	}
}
