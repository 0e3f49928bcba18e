package service

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRegistered(t *testing.T) {
	for _, test := range []struct {
		text string
		want map[uint16]string
	}{
		{"", map[uint16]string{}},
		{"imaps 993/tcp", map[uint16]string{993: "imaps"}},
		{"# a comment\n\nimaps\t\t993/tcp\t\t# IMAP over TLS\n", map[uint16]string{993: "imaps"}},
		{"  http 80/tcp www www-http\nhttp 80/udp\n", map[uint16]string{80: "http"}},
		{"domain 53/udp\nntp 123/udp\nx 5/sctp\nsmtp 25/tcp mail\n", map[uint16]string{25: "smtp"}},
		{"first 7/tcp\nsecond 7/tcp\n", map[uint16]string{7: "first"}},
		{"first 7/tcp\r\nlast 32767/tcp", map[uint16]string{7: "first", 32767: "last"}},
		{"a\nb 1\nc /tcp\nd 0/tcp\ne -1/tcp\nf 65536/tcp\ng 1/TCP\nh 1/tcp/tcp\ni 1 /tcp\n#j 1/tcp\nk #1/tcp\nl 32768/tcp\nm 60177/tcp\nn +1/tcp\n", map[uint16]string{}},
		{strings.Repeat("a", 64) + " 1/tcp\n" + strings.Repeat("a", 65) + " 2/tcp\n", map[uint16]string{1: strings.Repeat("a", 64)}},
		{"\xff 1/tcp\n", map[uint16]string{1: "\xff"}},
	} {
		if diff := cmp.Diff(test.want, parseRegistered(test.text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestWithRegistered(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "services")
	if err := os.WriteFile(file, []byte("ssh 22/tcp\npop2 109/tcp\n"+strings.Repeat("#", 4<<20)+"\nlate 4/tcp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	table, err := WithRegistered(file)
	if err != nil {
		t.Fatal(err)
	}
	for port, want := range map[uint16]Service{22: {"SSH", "ssh"}, 109: {"pop2", "generic"}, 4: {}, 50000: {}} {
		if got, ok := table.Port(port); got != want || ok != (want != Service{}) {
			t.Errorf("port %d: %v, %t, want %v", port, got, ok, want)
		}
	}

	table, err = WithRegistered(filepath.Join(dir, "none"))
	if _, ok := table.Port(109); err != nil || ok {
		t.Errorf("no file: error %v, a name for port 109: %t", err, ok)
	}
	table, err = WithRegistered(dir)
	if !errors.Is(err, syscall.EISDIR) || err.Error() != "read the registered services: read "+dir+": is a directory" {
		t.Errorf("a directory: error %v", err)
	}
	if got, ok := table.Port(22); !ok || got != (Service{"SSH", "ssh"}) {
		t.Errorf("a directory: port 22: %v, %t, want the built-in table's", got, ok)
	}
	if _, err := WithRegistered(filepath.Join(file, "services")); err == nil || !strings.HasPrefix(err.Error(), "read the registered services: open ") {
		t.Errorf("a file in a file: error %v", err)
	}
}

func FuzzParseRegistered(f *testing.F) {
	for _, text := range []string{"", "imaps 993/tcp # x\n", "a 1/udp\nb 1/tcp\nc 1/tcp", "x 99999/tcp", "\xff\x00 7/tcp\r\n", "a\t1/tcp\tb\tc\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for port, name := range parseRegistered(text) {
			if port == 0 || port >= 32768 || name == "" || len(name) > 64 || strings.ContainsAny(name, " \t\n#") || !strings.Contains(text, name) {
				t.Errorf("port %d: %q", port, name)
			}
		}
	})
}
