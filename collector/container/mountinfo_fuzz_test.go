package container

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mangled is a path as the kernel writes it into /proc/PID/mountinfo (mangle_path in fs/seq_file.c, with the characters that
// show_mountinfo names).
func mangled(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if strings.IndexByte(" \t\n\\#", path[i]) >= 0 {
			fmt.Fprintf(&b, `\%03o`, path[i])
		} else {
			b.WriteByte(path[i])
		}
	}
	return b.String()
}

// Wherever cgroup2 is mounted, it is found there, whatever else is mounted and whatever that is called.
func FuzzMountPoint(f *testing.F) {
	f.Add("/", "/sys/fs/cgroup", "shared:9", "/mnt")
	f.Add("/../..", "/a b\tc\nd\\e#f", "", "/x - cgroup2 y")
	f.Add("/\\040", "/\\134\\", "master:1 propagate_from:2", "/\xff\n")
	f.Add("/sys", "relative", "a - b", "")
	f.Fuzz(func(t *testing.T, root, point, optional, other string) {
		for _, path := range []*string{&root, &point, &other} {
			*path = strings.ReplaceAll(*path, "\x00", "")
			if !strings.HasPrefix(*path, "/") {
				*path = "/" + *path
			}
			// Between fields only the kernel's blanks count; of a path it leaves these as they are.
			if len(strings.Fields(mangled(*path))) != 1 || strings.ContainsAny(*path, "\v\f\r\u0085\u00a0") {
				return
			}
		}
		optional = strings.Join(strings.Fields(strings.NewReplacer("-", "", "\x00", "").Replace(optional)), " ")
		if optional != "" {
			optional += " "
		}
		file := fmt.Sprintf("22 1 0:21 / %s rw shared:1 - ext4 /dev/%s rw\n31 22 0:27 %s %s rw,relatime %s- cgroup2 cgroup2 rw\n40 22 0:30 / %s rw - cgroup cgroup2 rw\n",
			mangled(other), mangled(other), mangled(root), mangled(point), optional, mangled(other))
		want := []mount{{root: root, point: point}}
		if diff := cmp.Diff(want, cgroup2Mounts([]byte(file)), cmp.AllowUnexported(mount{})); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", file, diff)
		}
	})
}
