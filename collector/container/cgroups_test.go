//go:build linux

package container

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/model"
)

// newTestCgroups returns the Cgroups of this host, and a cgroup of the test's
// own. The test is skipped where that cannot be had.
func newTestCgroups(t testing.TB) (c *Cgroups, own string) {
	t.Helper()
	if err := CheckPrivilege(); err != nil {
		t.Skip(err)
	}
	c, err := NewCgroups()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if c.mount == nil {
		t.Skip("no cgroup2 file system is mounted")
	}
	own = filepath.Join(c.point, fmt.Sprintf("connectionsd-test-%d", os.Getpid()))
	makeCgroup(t, own)
	return c, own
}

// makeCgroup makes a cgroup and returns its id.
func makeCgroup(t testing.TB, path string) uint64 {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Skipf("make a cgroup: %v", err)
	}
	t.Cleanup(func() { removeCgroup(t, path) })
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(handle.Bytes())
}

func removeCgroup(t testing.TB, path string) {
	t.Helper()
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

func TestCgroups(t *testing.T) {
	c, own := newTestCgroups(t)
	parent := makeCgroup(t, filepath.Join(own, "docker"))
	id := makeCgroup(t, filepath.Join(own, "docker", id1))
	inner := makeCgroup(t, filepath.Join(own, "docker", id1, "init"))
	want := model.Container{Runtime: "docker", ID: id1}
	for _, test := range []struct {
		name string
		id   uint64
		want model.Container
	}{
		{"a container", id, want},
		{"again", id, want},
		{"within it", inner, want},
		{"no container", parent, model.Container{}},
		{"again", parent, model.Container{}},
		{"the root", 1, model.Container{}},
		{"not told", 0, model.Container{}},
		{"one that there is not", 1<<64 - 1, model.Container{}},
	} {
		got, ok := c.Of(test.id)
		if got != test.want || ok != (test.want != model.Container{}) {
			t.Errorf("%s: %+v, %t, want %+v", test.name, got, ok, test.want)
		}
	}
}

// The kernel does not let a cgroup v2 be renamed, nor gives its id to another:
// what was found stays true.
func TestCgroupStaysWhatItWas(t *testing.T) {
	c, own := newTestCgroups(t)
	makeCgroup(t, filepath.Join(own, "docker"))
	path := filepath.Join(own, "docker", id1)
	id := makeCgroup(t, path)
	if err := os.Rename(path, filepath.Join(own, "docker", id2)); !errors.Is(err, unix.EPERM) {
		t.Errorf("rename: error %v, want EPERM", err)
	}
	if got, ok := c.Of(id); got.ID != id1 || !ok {
		t.Errorf("%+v, %t", got, ok)
	}
	removeCgroup(t, path)
	if again := makeCgroup(t, path); again == id {
		t.Errorf("id %d was given to another", id)
	}
	if got, ok := c.Of(id); got.ID != id1 || !ok {
		t.Errorf("%+v, %t after its end, want what it was", got, ok)
	}
	// Forgotten, it cannot be looked up any more.
	c.Sweep()
	c.Sweep()
	if got, ok := c.Of(id); ok {
		t.Errorf("%+v, which is gone", got)
	}
}

func TestSweep(t *testing.T) {
	c, own := newTestCgroups(t)
	a, b := makeCgroup(t, filepath.Join(own, "a")), makeCgroup(t, filepath.Join(own, "b"))
	expect := func(when string, ids ...uint64) {
		t.Helper()
		if len(c.known) != len(ids) {
			t.Fatalf("%s: %d kept, want %d", when, len(c.known), len(ids))
		}
		for _, id := range ids {
			if c.known[id] == nil {
				t.Fatalf("%s: %d is not kept", when, id)
			}
		}
	}
	c.Of(a)
	c.Of(b)
	expect("asked for", a, b)
	c.Sweep()
	expect("both were asked for in the round", a, b)
	c.Of(a)
	c.Sweep()
	expect("one was", a)
	c.Sweep()
	expect("none was")
}

// However many there are, a bounded number is kept, and the others are told
// all the same.
func TestCgroupsAreBounded(t *testing.T) {
	c, own := newTestCgroups(t)
	makeCgroup(t, filepath.Join(own, "docker"))
	id := makeCgroup(t, filepath.Join(own, "docker", id1))
	for i := range uint64(maxCgroups) {
		c.known[1<<63+i] = new(cgroup)
	}
	for range 2 {
		if got, ok := c.Of(id); got.ID != id1 || !ok {
			t.Errorf("%+v, %t", got, ok)
		}
	}
	if len(c.known) != maxCgroups {
		t.Errorf("%d kept, want %d", len(c.known), maxCgroups)
	}
}

// What is short for a moment is no answer to keep.
func TestCgroupIsAskedForAgain(t *testing.T) {
	c, own := newTestCgroups(t)
	makeCgroup(t, filepath.Join(own, "docker"))
	id := makeCgroup(t, filepath.Join(own, "docker", id1))
	mount := c.mount
	notADirectoryOfIt, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	notADirectoryOfIt.Close() // EBADF
	c.mount = notADirectoryOfIt
	if got, ok := c.Of(id); ok {
		t.Errorf("%+v out of nothing", got)
	}
	c.mount = mount
	if got, ok := c.Of(id); got.ID != id1 || !ok {
		t.Errorf("%+v, %t", got, ok)
	}
}

func TestCgroupsWithoutCgroup2(t *testing.T) {
	var c Cgroups
	for range 2 {
		if got, ok := c.Of(7); ok || got != (model.Container{}) {
			t.Errorf("%+v, %t", got, ok)
		}
		c.Sweep()
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenCgroup2(t *testing.T) {
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if dir := openCgroup2(path); dir != nil {
			dir.Close()
			t.Errorf("%s was taken for a cgroup2 file system", path)
		}
	}
}

func TestCheckPrivilege(t *testing.T) {
	own, err := capability.Own()
	if err != nil {
		t.Fatal(err)
	}
	err = CheckPrivilege()
	if own.Has(unix.CAP_DAC_READ_SEARCH) {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if want := "containers are told by their processes alone without CAP_DAC_READ_SEARCH"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestKnownCgroupAllocatesNothing(t *testing.T) {
	c := Cgroups{known: map[uint64]*cgroup{7: {container: model.Container{Runtime: "docker", ID: id1}, inContainer: true}, 8: {}}}
	if n := testing.AllocsPerRun(100, func() {
		c.Of(7)
		c.Of(8)
		c.Of(0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOf(b *testing.B) {
	c, own := newTestCgroups(b)
	makeCgroup(b, filepath.Join(own, "docker"))
	id := makeCgroup(b, filepath.Join(own, "docker", id1))
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Of(id)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(c.known)
			c.Of(id)
		}
	})
}

func BenchmarkOfProcess(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := OfProcess("/proc", int32(os.Getpid())); err != nil {
			b.Fatal(err)
		}
	}
}
