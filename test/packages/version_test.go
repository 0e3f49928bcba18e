//go:build linux && packages

package packages_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Of what git describes packages get versions that sort as they came.
func TestVersion(t *testing.T) {
	const epoch = "1136214245" // 2006-01-02 15:04:05 UTC
	last := ""
	for _, test := range []struct{ described, want string }{
		{"0123456789ab", "0.0.0~20060102150405.0123456789ab"},
		{"0123456789ab-dirty", "0.0.0~20060102150405.0123456789ab+dirty"},
		{"v0.1.0-rc1", "0.1.0~rc1"},
		{"v0.1.0-rc1-3-g0123456789ab", "0.1.0~rc1+3.g0123456789ab"},
		{"v0.1.0-rc.2", "0.1.0~rc.2"},
		{"v0.1.0", "0.1.0"},
		{"v0.1.0-4-g0123456789ab", "0.1.0+4.g0123456789ab"},
		{"v0.1.0-12-g0123456789ab-dirty", "0.1.0+12.g0123456789ab+dirty"},
		{"v0.10.0", "0.10.0"},
	} {
		out, err := exec.Command("../../packaging/version", test.described, epoch).CombinedOutput()
		got := strings.TrimSpace(string(out))
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %q, want %q", test.described, err, got, test.want)
		}
		if last != "" && exec.Command("dpkg", "--compare-versions", last, "lt", got).Run() != nil {
			t.Errorf("%s does not come before %s", last, got)
		}
		last = got
	}
	for _, described := range []string{"", "v1", "v1.2", "v1.2.3-", "release 1", "v1.2.3_4", "../x"} {
		if out, err := exec.Command("../../packaging/version", described, epoch).Output(); err == nil {
			t.Errorf("%q: %q, want an error", described, out)
		}
	}
}
