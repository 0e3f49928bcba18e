//go:build linux && packages

package packages_test

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rpm runs it, with a database of its own: Debian has one for nothing else.
func (m *machine) rpm(args ...string) string {
	m.t.Helper()
	return m.run("rpm", append([]string{"--dbpath", "/tmp/rpm"}, args...)...)
}

// Its files are those of the deb, but for the directory where zsh looks; it installs, starts and goes under systemd. rpm's
// dependency is the shell that runs its scripts, which is no package here.
func TestRPM(t *testing.T) {
	m := bootSystemd(t)
	before := m.changed()
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	file := m.copyIn(built(t, "connectionsd-*."+arch+".rpm"))
	got := m.rpm("--query", "--package", "--queryformat", `[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]`, file)
	want := strings.Replace(files, "/zsh/vendor-completions/", "/zsh/site-functions/", 1)
	for _, page := range manPages(t) {
		want += "-rw-r--r-- root root /usr/share/man/man1/" + page + ".gz\n"
	}
	got = regexp.MustCompile(`(?m)^d.*\n`).ReplaceAllString(got, "")
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := m.rpm("--query", "--package", "--configfiles", file); got != configFile+"\n" {
		t.Errorf("configuration files %q", got)
	}
	if got := m.rpm("--query", "--package", "--queryformat", "%{NAME} %{LICENSE} %{ARCH} %{BUILDHOST}", file); got != "connectionsd MIT "+arch+" localhost" {
		t.Errorf("the package is %q", got)
	}

	m.rpm("--install", "--nodeps", "--force-debian", file)
	if got := m.state("is-enabled"); got != "enabled enabled" { // as Debian's presets say of all services
		t.Errorf("after the installation the units are %s", got)
	}
	m.run("systemctl", "start", "connectionsd.service")
	if got := m.get("/healthz"); !strings.Contains(got, `"ok"`) {
		t.Errorf("/healthz: %s", got)
	}
	m.run("sh", "-c", "echo 'height = 4242' >>"+configFile)
	m.rpm("--erase", "--force-debian", "connectionsd")
	if got := m.state("is-active"); got != "inactive inactive" {
		t.Errorf("after the removal the units are %s", got)
	}
	if got := m.run("tail", "-n", "1", configFile+".rpmsave"); got != "height = 4242\n" {
		t.Errorf("after the removal the saved configuration ends with %q", got)
	}
	m.run("rm", configFile+".rpmsave") // its directory stays, having had a file when the package went
	// Where zsh looks is there on a host that has zsh.
	left := slices.DeleteFunc(m.leftBehind(before), func(path string) bool { return path == "/usr/share/zsh/site-functions" })
	if diff := cmp.Diff([]string{"/etc/connectionsd"}, left); diff != "" {
		t.Errorf("after the removal (-want +got):\n%s", diff)
	}
}
