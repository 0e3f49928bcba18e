package container

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

// cgroupFiles are files as /proc/PID/cgroup is, and what they tell.
var cgroupFiles = []struct {
	name, file string
	want       model.Container
}{
	{"cgroup v2", "0::/docker/" + id1 + "\n", model.Container{Runtime: "docker", ID: id1}},
	{"cgroup v2, none", "0::/init.scope\n", model.Container{}},
	{"hybrid, told by v2", "9:name=systemd:/\n4:memory:/docker/" + id2 + "\n0::/machine.slice/libpod-" + id1 + ".scope\n", model.Container{Runtime: "podman", ID: id1}},
	{"hybrid, v2 first", "0::/docker/" + id1 + "\n4:memory:/docker/" + id2 + "\n", model.Container{Runtime: "docker", ID: id1}},
	{"hybrid, v2 tells nothing", "9:name=systemd:/\n4:memory:/docker/" + id1 + "\n3:cpu,cpuacct:/docker/" + id2 + "\n0::/\n", model.Container{Runtime: "docker", ID: id1}},
	{"cgroup v1, the first that tells", "2:cpu:/\n1:memory:/docker/" + id1 + "\n", model.Container{Runtime: "docker", ID: id1}},
	{"a path with colons", "1:name=systemd:/system.slice/kubepods-pod" + podUnit + ".slice:cri-containerd:" + id1 + "\n", model.Container{Runtime: "containerd", ID: id1, PodUID: podUID}},
	{"a process that was not waited for", "0::/docker/" + id1 + " (deleted)\n", model.Container{Runtime: "docker", ID: id1}},
	{"empty", "", model.Container{}},
	{"cut off", "0::/docker/" + id1, model.Container{}},
	{"garbage", "\n:\n::\n0:\n0:/docker/" + id1 + "\n\x00\xff:::\n", model.Container{}},
}

func TestOfProcess(t *testing.T) {
	proc := t.TempDir()
	for i, test := range cgroupFiles {
		pid := int32(i + 1)
		write(t, filepath.Join(proc, strconv.Itoa(i+1), "cgroup"), test.file)
		got, ok, err := OfProcess(proc, pid)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || ok != (test.want != model.Container{}) {
			t.Errorf("%s: %t (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOfProcessThatIsGone(t *testing.T) {
	c, ok, err := OfProcess(t.TempDir(), 7)
	if !errors.Is(err, os.ErrNotExist) || ok || c != (model.Container{}) {
		t.Errorf("%+v, %t, error %v, want one that it does not exist", c, ok, err)
	}
	if want := "read the cgroup of process 7: "; err != nil && !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want %q before", err, want)
	}
}

// However much a file holds, a bounded part of it is read, and no line that the
// bound cuts through counts.
func TestOfProcessWithAnEndlessFile(t *testing.T) {
	proc := t.TempDir()
	line := "1:memory:/docker/" + id1 + "\n"
	for pid, test := range []struct {
		before int // bytes of other lines
		told   bool
	}{
		{0, true},
		{maxCgroupFile - len(line), true},
		{maxCgroupFile - len(line) + 1, false},
		{maxCgroupFile, false},
	} {
		other := bytes.Repeat([]byte("x\n"), test.before/2+1)[:test.before]
		if test.before%2 == 1 {
			other[test.before-1] = '\n'
		}
		write(t, filepath.Join(proc, strconv.Itoa(pid), "cgroup"), string(other)+line+strings.Repeat("x\n", maxCgroupFile))
		if _, ok, err := OfProcess(proc, int32(pid)); ok != test.told || err != nil {
			t.Errorf("behind %d bytes: %t, error %v, want %t", test.before, ok, err, test.told)
		}
	}
}

func FuzzCgroupFile(f *testing.F) {
	for _, test := range cgroupFiles {
		f.Add([]byte(test.file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c, ok := ofCgroupFile(file)
		checkContainer(t, c, ok)
		if ok && !bytes.Contains(file, []byte(c.ID)) {
			t.Fatalf("id %q is not in it", c.ID)
		}
	})
}
