//go:build linux

package privilege

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLookUp(t *testing.T) {
	uid := os.Getuid()
	self, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		t.Fatal(err)
	}
	own, err := of(self)
	if err != nil {
		t.Fatal(err)
	}
	if own.UID != uid || strconv.Itoa(own.GID) != self.Gid {
		t.Fatalf("own account %+v, want user %d, group %s", own, uid, self.Gid)
	}
	const nobodys = "4000000001"
	for text, want := range map[string]User{
		self.Username:                    own,
		strconv.Itoa(uid):                own,
		self.Username + ":0":             {UID: uid, GID: 0, Groups: own.Groups},
		self.Username + ":root":          {UID: uid, GID: 0, Groups: own.Groups},
		strconv.Itoa(uid) + ":" + "4444": {UID: uid, GID: 4444, Groups: own.Groups},
		nobodys + ":4444":                {UID: 4000000001, GID: 4444},
		"4294967294:0":                   {UID: 4294967294, GID: 0},
	} {
		got, err := LookUp(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"no-such-user":        `there is no user "no-such-user": want the name or the number of one in /etc/passwd`,
		"no-such-user:0":      `there is no user "no-such-user": want the name or the number of one in /etc/passwd`,
		"":                    `there is no user "": want the name or the number of one in /etc/passwd`,
		"-1":                  `there is no user "-1": want the name or the number of one in /etc/passwd`,
		"4294967295:0":        `there is no user "4294967295": want the name or the number of one in /etc/passwd`,
		nobodys:               `no user has the number 4000000001: want its group too, as in 4000000001:GROUP`,
		"0:no-such-group":     `there is no group "no-such-group": want the name or the number of one in /etc/group`,
		"0:4294967295":        `there is no group "4294967295": want the name or the number of one in /etc/group`,
		nobodys + ":":         `there is no group "": want the name or the number of one in /etc/group`,
		nobodys + ":no-group": `there is no group "no-group": want the name or the number of one in /etc/group`,
	} {
		if got, err := LookUp(text); err == nil || err.Error() != want {
			t.Errorf("%q: %+v, %v, want error %s", text, got, err, want)
		}
	}
}

func FuzzLookUp(f *testing.F) {
	for _, text := range []string{"root", "0", "0:0", "root:root", "4000000001:7", ":", "a:b:c", "-1", "4294967295:0", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := LookUp(text)
		if err == nil && (got.UID < 0 || got.UID >= 1<<32-1 || got.GID < 0 || got.GID >= 1<<32-1) {
			t.Errorf("%q: %+v, which is no user of 32 bits", text, got)
		}
	})
}

func TestCheckBecome(t *testing.T) {
	if err := CheckBecome(User{UID: os.Getuid(), GID: os.Getgid()}); err != nil {
		t.Errorf("itself: %v", err)
	}
	err := CheckBecome(User{UID: 4000000001, GID: 4444})
	if os.Getuid() == 0 && err != nil || os.Getuid() != 0 && !errors.Is(err, ErrNotRoot) {
		t.Errorf("another: %v as user %d", err, os.Getuid())
	}
}

func becomeChild() (any, error) {
	return threads(func() error { return Become(User{UID: 65534, GID: 65533, Groups: []int{7, 65532}}, kept) })
}

// Another user has the capabilities that are kept, and no group of the first one.
func TestBecome(t *testing.T) {
	needsRoot(t)
	if b, err := os.ReadFile("/proc/self/uid_map"); err != nil || strings.Fields(string(b))[2] == "1" {
		t.Skip("this user namespace has one user: run as root of the host")
	}
	before, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setgroups([]int{1, 2}); err != nil { // the child has them from here
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setgroups(before); err != nil {
			t.Fatal(err)
		}
	}()
	var got map[string][]string
	child(t, "become", &got)
	none, two := []string{"0000000000000000"}, []string{"0000000000080004"}
	want := map[string][]string{
		"Uid": {"65534 65534 65534 65534"}, "Gid": {"65533 65533 65533 65533"}, "Groups": {"7 65532"},
		"CapInh": none, "CapPrm": two, "CapEff": two, "CapBnd": none, "CapAmb": none, "NoNewPrivs": {"0"}, "Seccomp": got["Seccomp"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("threads (-want +got):\n%s", diff)
	}
}
