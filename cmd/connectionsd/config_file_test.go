package main

import (
	"fmt"
	"strings"
	"syscall"
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
		want       configFile
	}{
		{"empty", "", configFile{}},
		{"blank lines and comments", "\n  \t\n# height=1\n   # height=2\n#\n", configFile{}},
		{"a line", "height=1\n", configFile{"height": []setting{at(1, "height", "1")}}},
		{"no newline at the end", "height=1", configFile{"height": []setting{at(1, "height", "1")}}},
		{"spaces", " \theight \t= \t1 \t", configFile{"height": []setting{at(1, "height", "1")}}},
		{"CRLF", "\r\nheight=1\r\n", configFile{"height": []setting{at(2, "height", "1")}}},
		{"byte order mark", "\ufeffheight=1", configFile{"height": []setting{at(1, "height", "1")}}},
		{"empty value", "height=", configFile{"height": []setting{at(1, "height", "")}}},
		{"value with =", "rpc-bind-ip=a=b", configFile{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a=b")}}},
		{"value in two words", "rpc-bind-ip=a b", configFile{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a b")}}},
		{"comment after the value", "height=1 # two\t# three", configFile{"height": []setting{at(1, "height", "1")}}},
		{"comment after a tab", "height=1\t#2", configFile{"height": []setting{at(1, "height", "1")}}},
		{"comment for a value", "height= #1", configFile{"height": []setting{at(1, "height", "")}}},
		{"# within a value", "rpc-bind-ip=a#b", configFile{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "a#b")}}},
		{"# first in a value", "rpc-bind-ip=#b", configFile{"rpc-bind-ip": []setting{at(1, "rpc-bind-ip", "#b")}}},
		{"repeated list", "trusted-proxy=a\nheight=1\ntrusted-proxy=b", configFile{
			"height":        []setting{at(2, "height", "1")},
			"trusted-proxy": []setting{at(1, "trusted-proxy", "a"), at(3, "trusted-proxy", "b")},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, errs := parseConfigFile("c.conf", []byte(tc.file))
			if errs != nil {
				t.Fatal(errs)
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
			got, errs := parseConfigFile("c.conf", []byte(tc.file))
			if len(errs) != 1 {
				t.Fatalf("got %v, %q, want one error %q", got, errs, tc.want)
			}
			if diff := cmp.Diff(tc.want, errs[0].Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// Each line that is wrong is told of, and the others count.
func TestConfigFileWithSeveralErrors(t *testing.T) {
	got, errs := parseConfigFile("c.conf", []byte("zmq-pub=1\nheight=1\nheight=2\nnothing\nrate-burst=7"))
	want := configFile{
		"height": []setting{{Value: "1", Origin: "c.conf:2 height"}}, "rate-burst": []setting{{Value: "7", Origin: "c.conf:5 rate-burst"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	if diff := cmp.Diff([]string{
		`c.conf:1: unknown key "zmq-pub"; see connectionsd serve --help`, "c.conf:3: height: already set on line 2: want it once", "c.conf:4: want key=value",
	}, texts); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// What is no regular file is read once. A pipe without a writer would keep who opens it waiting.
func TestOpenAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "file", "height=1", 0o600)
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := readFileBy(openAgain, "file")
	if err != nil || string(data) != "height=1" {
		t.Errorf("a file: %q, %v", data, err)
	}
	for name, want := range map[string]string{
		"pipe": "pipe is no regular file, and only those can be read again", ".": ". is no regular file, and only those can be read again",
		"none": "open none: no such file or directory",
	} {
		_, err := readFileBy(openAgain, name)
		wantError(t, err, want)
	}
}

// Whatever stands in the file, parsing it ends with errors that name lines of it, or with settings that come out the
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
		settings, errs := parseConfigFile("c.conf", data)
		last := 0
		for _, err := range errs {
			var line int
			if _, scanErr := fmt.Sscanf(err.Error(), "c.conf:%d:", &line); scanErr != nil || line <= last || line > 1+strings.Count(string(data), "\n") {
				t.Fatalf("error %q names no line of %q, or one again", err, data)
			}
			last = line
		}
		if errs != nil {
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
		settings, errs = parseConfigFile("c.conf", []byte(again.String()))
		if errs != nil {
			t.Fatalf("written again as %q: %v", again.String(), errs)
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
