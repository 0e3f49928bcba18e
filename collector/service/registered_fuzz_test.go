package service

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is registered is what a regular expression finds, which knows services(5) too.
func FuzzRegisteredReference(f *testing.F) {
	for _, text := range []string{
		"", "ssh\t22/tcp\n", "ssh 22/tcp # secure\nssh2 22/tcp\n", "  http\t80/tcp www\n", "domain 53/udp\ndomain 53/tcp\n", "#ssh 22/tcp", "ssh#22/tcp", "ssh 22/tcp#x",
		"ssh 22 /tcp", "ssh 022/tcp", "ssh +22/tcp", "ssh 22/TCP", "a 0/tcp\nb 32767/tcp\nc 32768/tcp\nd 65536/tcp", strings.Repeat("x", 65) + " 1/tcp\n" + strings.Repeat("y", 64) + " 1/tcp",
		"a\v1/tcp\nb\f2/tcp\nc\r3/tcp\r\n", "ssh 22/tcp/tcp",
	} {
		f.Add(text)
	}
	line := regexp.MustCompile(`^[ \t\v\f\r]*([^ \t\v\f\r#]+)[ \t\v\f\r]+([0-9]+)/tcp([ \t\v\f\r#]|$)`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range text {
			if r >= 0x80 {
				return // other blanks than those of ASCII are part of a name to who reads bytes
			}
		}
		want := make(map[uint16]string)
		for row := range strings.SplitSeq(text, "\n") {
			found := line.FindStringSubmatch(row)
			if found == nil || len(found[1]) > 64 {
				continue
			}
			port, err := strconv.Atoi(found[2])
			if err != nil || port < 1 || port > 32767 {
				continue
			}
			if _, named := want[uint16(port)]; !named {
				want[uint16(port)] = found[1]
			}
		}
		if diff := cmp.Diff(want, parseRegistered(text)); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", text, diff)
		}
	})
}
