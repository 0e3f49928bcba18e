//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/test/measuring"
)

func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.md")
	r := report{machine: &measuring.Table{Title: "Machine", Header: []string{"what", "value"}, Rows: [][]string{{"CPU", "2"}}}}
	var out bytes.Buffer
	err := r.add(&out, &section{
		tables:  []*measuring.Table{{Title: "Times", Header: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}},
		targets: []target{{"fast", "1 ms", "at most 2 ms", true}, {"small", "3 MiB", "at most 2 MiB", false}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.end(&out, file); err != nil {
		t.Fatal(err)
	}
	const text = `Times
a  b
1  2

Targets: 1 of 2 met
what   measured  target         verdict
fast   1 ms      at most 2 ms   met
small  3 MiB     at most 2 MiB  not met

`
	if diff := cmp.Diff(text, out.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	const markdown = `### Targets: 1 of 2 met

| what | measured | target | verdict |
| --- | --- | --- | --- |
| fast | 1 ms | at most 2 ms | met |
| small | 3 MiB | at most 2 MiB | not met |

### Times

| a | b |
| --- | --- |
| 1 | 2 |

### Machine

| what | value |
| --- | --- |
| CPU | 2 |
`
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(markdown, string(got)); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string // names of the benchmarks
		err  string
	}{
		{"one", []string{"scale"}, []string{"scale"}, ""},
		{"two, in the order given", []string{"-runs", "1", "sampler", "scale"}, []string{"sampler", "scale"}, ""},
		{"none", nil, nil, "say what to measure, of: all, large, scale, small, sampler, owners"},
		{"unknown", []string{"medium"}, nil, `"medium" cannot be measured, want one of: all, large, scale, small, sampler, owners`},
		{"no runs", []string{"-runs", "0", "scale"}, nil, "-runs is 0, want at least 1"},
		{"too many processes", []string{"-processes", "201", "scale"}, nil, "-processes is 201, want 1 to 200"},
		{"too few sockets", []string{"-pairs", "0", "scale"}, nil, "-pairs is 0, want 1 to 25000"},
		{
			"no monerod",
			[]string{"-monerod", "/none/monerod", "small"},
			nil,
			`small cannot be measured: exec: "/none/monerod": stat /none/monerod: no such file or directory (Debian has monerod in its package monero, ss in iproute2)`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, chosen, err := parse(tc.args)
			var names []string
			for _, b := range chosen {
				names = append(names, b.name)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("benchmarks (-want +got):\n%s", diff)
			}
			if got := errorText(err); got != tc.err {
				t.Errorf("error %q, want %q", got, tc.err)
			}
		})
	}
}
