package metrics

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/rpc"
)

// documented are the metrics of docs/metrics.md, by name: type and labels.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, rest, isMetric := strings.Cut(strings.TrimPrefix(line, "| `"), "` | ")
		if !isMetric || !strings.HasPrefix(line, "| `connectionsd_") {
			continue
		}
		cells := strings.Split(rest, "|")
		if len(cells) != 4 {
			t.Errorf("%s: want a row of name, type, labels and meaning", strings.TrimSpace(line))
			continue
		}
		labels := strings.Fields(strings.ReplaceAll(cells[1], ",", " "))
		slices.Sort(labels)
		if _, twice := all[name]; twice {
			t.Errorf("%s is described twice", name)
		}
		all[name] = strings.TrimSpace(cells[0]) + " " + strings.Join(labels, ",")
	}
	return all
}

// exported are those that a daemon has once everything has happened.
func exported(t *testing.T) map[string]string {
	t.Helper()
	m := New(time.Now)
	m.Dumped(collector.Dump{All: true, Sockets: 1, Took: time.Millisecond})
	m.Sampled(time.Millisecond)
	m.Answered(rpc.Answered{Face: "rest", Method: "/healthz", Status: http.StatusOK, Took: time.Millisecond})
	o := small().options()
	o.Degraded = func() []rpc.Degradation { return []rpc.Degradation{{Feature: "bpf", Reason: "no BTF"}} }
	answer := httptest.NewRecorder()
	m.Handler(o).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	all := make(map[string]string)
	var name, kind string
	for line := range strings.Lines(answer.Body.String()) {
		if of, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ = strings.Cut(strings.TrimSpace(of), " ")
			continue
		}
		if all[name] != "" || strings.HasPrefix(line, "#") || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		var labels []string
		for _, label := range label.FindAllStringSubmatch(line, -1) {
			if label[1] != "le" { // every histogram has it
				labels = append(labels, label[1])
			}
		}
		slices.Sort(labels)
		all[name] = kind + " " + strings.Join(labels, ",")
	}
	return all
}

// label finds the names of labels.
var label = regexp.MustCompile(`[{,]([a-z_]+)="`)

// Every metric is described with its type and its labels, and none that there is not.
func TestDocumented(t *testing.T) {
	if diff := cmp.Diff(documented(t), exported(t)); diff != "" {
		t.Errorf("metrics (-docs/metrics.md +exported):\n%s", diff)
	}
}
