package container

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var mountinfos = []struct {
	name, file string
	want       []mount
}{
	{"unified", "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", []mount{{"/", "/sys/fs/cgroup"}}},
	{
		"hybrid",
		"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
			"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		[]mount{{"/", "/sys/fs/cgroup/unified"}},
	},
	{"no optional fields, several optional fields", "1 2 0:3 / /a rw - cgroup2 x rw\n1 2 0:3 /../b /c rw shared:1 master:2 propagate_from:3 - cgroup2 x rw\n", []mount{{"/", "/a"}, {"/../b", "/c"}}},
	{"escapes", `1 2 0:3 /a\040b /c\011\012\134\043d rw - cgroup2 x rw` + "\n", []mount{{"/a b", "/c\t\n\\#d"}}},
	{"what is no escape", `1 2 0:3 / /a\08\4\9 rw - cgroup2 x rw` + "\n", []mount{{"/", `/a\08\4\9`}}},
	{"without a last newline", "1 2 0:3 / /a rw - cgroup2 x rw", []mount{{"/", "/a"}}},
	{"none", "1 2 0:3 / /a rw - cgroup x rw\n1 2 0:3 / /cgroup2 rw - tmpfs cgroup2 rw\n", nil},
	{"empty", "", nil},
	{"garbage", "\n - \n - cgroup2 x rw\n1 2 3 4 - cgroup2 x rw\n1 2 0:3 / a rw - cgroup2 x rw\n1 2 0:3 / /a rw cgroup2 x rw\n", nil},
}

func TestCgroup2Mounts(t *testing.T) {
	for _, test := range mountinfos {
		if diff := cmp.Diff(test.want, cgroup2Mounts([]byte(test.file)), cmp.AllowUnexported(mount{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	for _, test := range mountinfos {
		f.Add([]byte(test.file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		mounts := cgroup2Mounts(file)
		if len(mounts) > bytes.Count(file, []byte("cgroup2")) {
			t.Fatalf("%d mounts", len(mounts))
		}
		for _, m := range mounts {
			if !strings.HasPrefix(m.point, "/") || m.root == "" {
				t.Fatalf("mount %+v", m)
			}
		}
	})
}
