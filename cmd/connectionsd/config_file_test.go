package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestConfigFile(t *testing.T) {
	at := func(line int, key, value string) setting {
		return setting{Value: value, Origin: fmt.Sprintf("c.conf:%d %s", line, key)}
	}
	for _, tc := range []struct {
		name, file string
		want       map[string]any
	}{
		{"empty", "", map[string]any{}},
		{"blank lines and comments", "\n  \t\n# height=1\n   # height=2\n#\n", map[string]any{}},
		{"a line", "height=1\n", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"no newline at the end", "height=1", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"spaces", " \theight \t= \t1 \t", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"CRLF", "\r\nheight=1\r\n", map[string]any{"height": []setting{at(2, "height", "1")}}},
		{"byte order mark", "\ufeffheight=1", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"empty value", "height=", map[string]any{"height": []setting{at(1, "height", "")}}},
		{"value with =", "rpc-bind-ip=a=b", map[string]any{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a=b")}}},
		{"value in two words", "rpc-bind-ip=a b", map[string]any{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a b")}}},
		{"comment after the value", "height=1 # two\t# three", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"comment after a tab", "height=1\t#2", map[string]any{"height": []setting{at(1, "height", "1")}}},
		{"comment for a value", "height= #1", map[string]any{"height": []setting{at(1, "height", "")}}},
		{"# within a value", "rpc-bind-ip=a#b", map[string]any{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a#b")}}},
		{"# first in a value", "rpc-bind-ip=#b", map[string]any{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "#b")}}},
		{"repeated list", "trusted-proxy=a\nheight=1\ntrusted-proxy=b", map[string]any{
			"height":        []setting{at(2, "height", "1")},
			"trusted-proxy": []setting{at(1, "trusted-proxy", "a"), at(3, "trusted-proxy", "b")},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseConfigFile("c.conf", []byte(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigFileErrors(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"no =", "height=1\n\nconfirm-external-bind\n", `c.conf:3: want key=value`},
		{"no key", "=1", `c.conf:1: want key=value`},
		{"section", "[rpc]", `c.conf:1: want key=value`},
		{"comment before =", "height # =1", `c.conf:1: want key=value`},
		{"no UTF-8", "height=1\nlog-level=inf\xf6", `c.conf:2: bytes that are no text: want UTF-8`},
		{"no UTF-8 in a comment", "# \xff", `c.conf:1: bytes that are no text: want UTF-8`},
		{"login with a space for =", "rpc-login user:pass=word", `c.conf:1: want key=value`},
		{"token with a colon for =", "access-token: 0123456789abcdef", `c.conf:1: want key=value`},
		{"unknown key", "zmq-pub=1", `c.conf:1: unknown key "zmq-pub"; see connectionsd serve --help`},
		{"misspelt key", "hieght=1", `c.conf:1: unknown key "hieght"; did you mean "height"?`},
		{"key in capitals", "HEIGHT=1", `c.conf:1: unknown key "HEIGHT"; see connectionsd serve --help`},
		{"flag for a key", "--height=1", `c.conf:1: unknown key "--height"; did you mean "height"?`},
		{"repeated", "height=1\n#\nheight=1", `c.conf:3: height: already set on line 1: want it once`},
		{
			"names another", "config-file=d.conf",
			`c.conf:1: config-file: a configuration file cannot name another: want it as a flag or variable`,
		},
		{"long line", strings.Repeat("x", 5000), `c.conf:1: want key=value`},
		{"long key", strings.Repeat("x", 5000) + "=", `c.conf:1: unknown key "` + strings.Repeat("x", 100) + `"; see connectionsd serve --help`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseConfigFile("c.conf", []byte(tc.file))
			if err == nil {
				t.Fatalf("got %v, want error %q", got, tc.want)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever stands in the file, parsing it ends with an error that names a line of it, or with settings that come out the
// same when they are written down again.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "height=1\n", " height = 1 # comment\r\n", "# only a comment", "trusted-proxy=::1\ntrusted-proxy=10.0.0.0/8,192.0.2.1\n",
		"rpc-bind-ip=#a#b #c", "\ufeffheight=1", "height=1\nheight=2", "config-file=x", "no equals sign", "=", "height==", "\xff", "hieght=1",
		"log-level=\u00a0info\u2003", "rpc-bind-ip=a\rb\x00c",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parseConfigFile("c.conf", data)
		if err != nil {
			var line int
			if _, scanErr := fmt.Sscanf(err.Error(), "c.conf:%d:", &line); scanErr != nil || line < 1 || line > 1+strings.Count(string(data), "\n") {
				t.Fatalf("error %q names no line of %q", err, data)
			}
			return
		}
		if !utf8.Valid(data) {
			t.Fatalf("%q was accepted", data)
		}
		var again strings.Builder
		values := map[string][]string{}
		for _, k := range keys() {
			written, _ := settings[k.name].([]setting)
			for _, s := range written {
				fmt.Fprintf(&again, "%s=%s\n", k.name, s.Value)
				values[k.name] = append(values[k.name], s.Value)
			}
			delete(settings, k.name)
		}
		if len(settings) > 0 {
			t.Fatalf("keys that are none: %v", settings)
		}
		settings, err = parseConfigFile("c.conf", []byte(again.String()))
		if err != nil {
			t.Fatalf("written again as %q: %v", again.String(), err)
		}
		valuesAgain := map[string][]string{}
		for name, written := range settings {
			for _, s := range written.([]setting) {
				valuesAgain[name] = append(valuesAgain[name], s.Value)
			}
		}
		if diff := cmp.Diff(values, valuesAgain); diff != "" {
			t.Fatalf("written again (-first +again):\n%s", diff)
		}
	})
}
