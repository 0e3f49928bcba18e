//go:build linux && packages

package packages_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dist is where the packages are that are tested: DIST, as make release has it.
func dist(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DIST")
	if dir == "" {
		t.Fatal("DIST is not set: want the directory that make release has made")
	}
	return dir
}

// built returns the one file of dist that has a name like pattern.
func built(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dist(t), pattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s in %s: %q, %v, want one", pattern, dist(t), files, err)
	}
	return files[0]
}

// deb is the package for this machine.
func deb(t *testing.T) string { return built(t, "connectionsd_*_"+runtime.GOARCH+".deb") }

// olderVersion is one that is before all others.
const olderVersion = "0~older"

// older returns the package as one of an earlier version, whose configuration file had a line less.
func older(t *testing.T) string {
	t.Helper()
	dir, path := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "older.deb")
	dpkgDeb(t, "--raw-extract", deb(t), dir)
	control := filepath.Join(dir, "DEBIAN", "control")
	edit(t, control, func(text string) string {
		return regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAllString(text, "Version: "+olderVersion)
	})
	edit(t, filepath.Join(dir, configFile), func(text string) string { return text[strings.Index(text, "\n")+1:] })
	dpkgDeb(t, "--build", "--root-owner-group", "-Zgzip", dir, path)
	return path
}

func dpkgDeb(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("dpkg-deb", args...).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb %s: %v %s", strings.Join(args, " "), err, out)
	}
}

func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(b))), 0o644); err != nil {
		t.Fatal(err)
	}
}

const configFile = "/etc/connectionsd/connectionsd.conf"

// files are those of the package but the manual pages, with what stat says of them.
const files = `-rwxr-xr-x root root /usr/bin/connectionsd
-rw-r----- root root /etc/connectionsd/connectionsd.conf
-rw-r--r-- root root /usr/lib/systemd/system/connectionsd.service
-rw-r--r-- root root /usr/lib/systemd/system/connectionsd.socket
-rw-r--r-- root root /usr/share/bash-completion/completions/connectionsd
-rw-r--r-- root root /usr/share/doc/connectionsd/changelog.gz
-rw-r--r-- root root /usr/share/doc/connectionsd/copyright
-rw-r--r-- root root /usr/share/doc/connectionsd/examples/connectionsd.grafana.json
-rw-r--r-- root root /usr/share/doc/connectionsd/examples/connectionsd.rules.yaml
-rw-r--r-- root root /usr/share/fish/vendor_completions.d/connectionsd.fish
-rw-r--r-- root root /usr/share/zsh/vendor-completions/_connectionsd
`

// manPages are the names of the pages that there are.
func manPages(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("../../packaging/man")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, entry := range entries {
		pages = append(pages, entry.Name())
	}
	if !slices.Contains(pages, "connectionsd.1") {
		t.Fatalf("manual pages %q, want connectionsd.1 among them", pages)
	}
	return pages
}

// dpkg runs it: what the scripts of the package say would be a complaint.
func (m *machine) dpkg(args ...string) {
	m.t.Helper()
	out := m.run("dpkg", append([]string{"--force-confdef", "--force-confold"}, args...)...)
	for line := range strings.Lines(out) {
		if !dpkgSays.MatchString(line) {
			m.t.Errorf("dpkg %s says %q", strings.Join(args, " "), line)
		}
	}
}

// dpkgSays is what it says of its work.
var dpkgSays = regexp.MustCompile(`^(Selecting previously unselected package|\(Reading database|Preparing to unpack|Unpacking|Setting up|Processing triggers for|Not building database; man-db|Created symlink|connectionsd\.(socket|service) is a disabled or a static unit|Removing|Purging configuration files for|Installing new version of config file|Configuration file '` + configFile + `'| ==>|\n)`)

// state returns what systemd says of both units.
func (m *machine) state(verb string) string {
	m.t.Helper()
	out, _ := m.try("systemctl", verb, "connectionsd.socket", "connectionsd.service")
	return strings.Join(strings.Fields(out), " ")
}

// unit returns a property of a unit.
func (m *machine) unit(name, property string) string {
	m.t.Helper()
	return strings.TrimSpace(m.run("systemctl", "show", "--value", "--property="+property, name))
}

// get asks the service.
func (m *machine) get(path string) string {
	m.t.Helper()
	return m.run("curl", "--silent", "--show-error", "--fail", "http://127.0.0.1:18081"+path)
}

// ready is what /readyz tells: all works but what a machine within a machine cannot have (the kernel's process numbers), and the
// two container engines that are not there.
var ready = []string{"ready", "bpf", "containers", "containers"}

// leftBehind returns what is there now and was not before, less what dpkg keeps and writes for itself.
func (m *machine) leftBehind(before map[string]bool) []string {
	m.t.Helper()
	own := regexp.MustCompile(`^/var/(lib/dpkg|log|cache/man|cache/ldconfig|lib/systemd/(timers|random-seed))|^/run/(systemd|log)/`)
	var paths []string
	for path := range m.changed() {
		if !before[path] && !own.MatchString(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// From the first installation to the purge, under systemd.
func TestDeb(t *testing.T) {
	m := bootSystemd(t)
	before := m.changed()
	earlier, newer := m.copyIn(older(t)), m.copyIn(deb(t))

	m.dpkg("--install", earlier)
	listed := strings.Fields(m.run("sh", "-c", `dpkg --listfiles connectionsd | while read -r f; do [ -d "$f" ] || echo "$f"; done`))
	got := m.run("stat", append([]string{"--format=%A %U %G %n"}, listed...)...)
	want := files
	for _, page := range manPages(t) {
		want += "-rw-r--r-- root root /usr/share/man/man1/" + page + ".gz\n"
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := m.run("dpkg-query", "--show", "--showformat=${Version}${Conffiles}", "connectionsd"); !strings.HasPrefix(got, olderVersion+" "+configFile+" ") {
		t.Errorf("version and configuration files %q", got)
	}
	if got := m.run("connectionsd", "version"); !strings.HasPrefix(got, "connectionsd ") {
		t.Errorf("connectionsd version: %q", got)
	}
	if got := m.run("connectionsd", "config", "check", "--config-file", configFile); strings.Contains(got, "error") {
		t.Errorf("connectionsd config check: %q", got)
	}
	if got := m.state("is-enabled"); got != "enabled enabled" {
		t.Errorf("after the installation the units are %s", got)
	}
	if got := m.state("is-active"); got != "active active" {
		t.Fatalf("after the installation the units are %s: %s", got, m.run("systemctl", "status", "--full", "connectionsd.service"))
	}
	var readiness struct {
		Status   string
		Degraded []struct{ Feature string }
	}
	if err := json.Unmarshal([]byte(m.get("/readyz")), &readiness); err != nil {
		t.Fatal(err)
	}
	features := []string{readiness.Status}
	for _, d := range readiness.Degraded {
		features = append(features, d.Feature)
	}
	if diff := cmp.Diff(ready, features); diff != "" {
		t.Errorf("/readyz (-want +got):\n%s", diff)
	}
	if got := m.run("curl", "--silent", "--unix-socket", "/run/connectionsd.sock", "http://localhost/healthz"); !strings.Contains(got, `"ok"`) {
		t.Errorf("/healthz by the unix socket: %s", got)
	}

	// What the administrator has written holds, over an upgrade too.
	m.run("sh", "-c", "echo 'height = 4242' >>"+configFile)
	pid, since := m.unit("connectionsd.service", "MainPID"), m.unit("connectionsd.socket", "ActiveEnterTimestampMonotonic")
	m.dpkg("--install", newer)
	if got := m.run("tail", "-n", "1", configFile); got != "height = 4242\n" {
		t.Errorf("after the upgrade the configuration ends with %q", got)
	}
	if got := m.state("is-active"); got != "active active" {
		t.Errorf("after the upgrade the units are %s", got)
	}
	if got := m.unit("connectionsd.service", "MainPID"); got == pid {
		t.Error("the upgrade has not restarted the service")
	}
	if got := m.unit("connectionsd.socket", "ActiveEnterTimestampMonotonic"); got != since {
		t.Error("the upgrade has closed the sockets")
	}
	if got := m.get("/get_connections"); !strings.Contains(got, `"height":4242`) {
		t.Errorf("the configuration does not hold: %s", got)
	}

	// The service's user reads the file again, which no other user may read.
	named := []string{"--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--header", "Host: status.example.org", "http://127.0.0.1:18081/healthz"}
	if got := m.run("curl", named...); got != "403" {
		t.Errorf("by a name that is not configured: status %s, want 403", got)
	}
	m.run("sh", "-c", "echo 'allowed-host = status.example.org' >>"+configFile)
	m.run("systemctl", "reload", "connectionsd.service")
	for deadline := time.Now().Add(10 * time.Second); m.run("curl", named...) != "200"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the reload has changed nothing: %s", m.run("journalctl", "--no-pager", "--unit", "connectionsd.service"))
		}
	}

	// What has been disabled stays so.
	m.run("systemctl", "disable", "--now", "connectionsd.socket", "connectionsd.service")
	m.dpkg("--install", newer)
	if got := m.state("is-enabled"); got != "disabled disabled" {
		t.Errorf("disabled, and installed again, the units are %s", got)
	}
	if got := m.state("is-active"); got != "inactive inactive" {
		t.Errorf("disabled, and installed again, the units are %s", got)
	}
	m.run("systemctl", "enable", "--now", "connectionsd.socket", "connectionsd.service")

	m.dpkg("--remove", "connectionsd")
	if got := m.state("is-active"); got != "inactive inactive" {
		t.Errorf("after the removal the units are %s", got)
	}
	if out, code := m.try("pgrep", "--exact", "connectionsd"); code == 0 {
		t.Errorf("after the removal processes run: %s", out)
	}
	if got := m.run("tail", "-n", "2", configFile); got != "height = 4242\nallowed-host = status.example.org\n" {
		t.Errorf("after the removal the configuration ends with %q", got)
	}
	for _, path := range []string{"/usr/bin/connectionsd", "/usr/lib/systemd/system/connectionsd.service", "/run/connectionsd.sock", "/usr/share/doc/connectionsd"} {
		if m.hasFile(path) {
			t.Errorf("after the removal there is %s", path)
		}
	}

	m.run("sh", "-c", "echo CONNECTIONSD_HEIGHT=1 >/etc/default/connectionsd")
	m.dpkg("--purge", "connectionsd")
	if left := m.leftBehind(before); left != nil {
		t.Errorf("after the purge there are %q", left)
	}
	if got := m.run("sh", "-c", "getent passwd connectionsd; getent group connectionsd; dpkg-query --list | grep connectionsd; true"); got != "" {
		t.Errorf("after the purge there is still %q", got)
	}
}

// Where systemd does not run, as in a container, the package is installed and removed all the same.
func TestDebWithoutSystemd(t *testing.T) {
	m := boot(t, "sleep", "infinity")
	before := m.changed()
	m.dpkg("--install", m.copyIn(older(t)))
	m.dpkg("--install", m.copyIn(deb(t)))
	if got := m.run("connectionsd", "version"); !strings.HasPrefix(got, "connectionsd ") {
		t.Errorf("connectionsd version: %q", got)
	}
	m.dpkg("--remove", "connectionsd")
	if !m.hasFile(configFile) || m.hasFile("/usr/bin/connectionsd") {
		t.Error("after the removal: want the configuration, and no program")
	}
	m.dpkg("--install", m.copyIn(deb(t)))
	m.dpkg("--purge", "connectionsd")
	if left := m.leftBehind(before); left != nil {
		t.Errorf("after the purge there are %q", left)
	}
}

func sorted(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
