//go:build linux

package owner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// entry is what a test makes up of a process in a proc file system.
type entry struct {
	name string
	comm string            // the whole file; "" leaves it out
	fds  map[string]string // names and targets of the links; nil leaves out the directory
}

// procOf makes a proc file system.
func procOf(t *testing.T, processes ...entry) string {
	t.Helper()
	proc := t.TempDir()
	for _, p := range processes {
		dir := filepath.Join(proc, p.name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if p.comm != "" {
			if err := os.WriteFile(filepath.Join(dir, "comm"), []byte(p.comm), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if p.fds == nil {
			continue
		}
		if err := os.Mkdir(filepath.Join(dir, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, target := range p.fds {
			if err := os.Symlink(target, filepath.Join(dir, "fd", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return proc
}

// fds are descriptors, from 0 on, with these links.
func fds(targets ...string) map[string]string {
	links := make(map[string]string)
	for i, target := range targets {
		links[fmt.Sprint(i)] = target
	}
	return links
}

// wanting are sockets that no owner is known of yet.
func wanting(inodes ...uint32) *Wanted {
	wanted := new(Wanted)
	wanted.Reset(len(inodes))
	for _, inode := range inodes {
		wanted.Add(inode, false)
	}
	return wanted
}

// wantingEvery are sockets of which all owners are wanted.
func wantingEvery(inodes ...uint32) *Wanted {
	wanted := wanting()
	for _, inode := range inodes {
		wanted.Add(inode, true)
	}
	return wanted
}

// found are the owners of sockets, and nothing of those that are not wanted.
func (w *Wanted) found(inodes iter.Seq[uint32]) map[uint32]int32 {
	found := make(map[uint32]int32)
	for inode := range inodes {
		if w.has(inode) {
			found[inode] = w.Owner(inode)
		}
	}
	return found
}

// own is an owner as Find tells of it.
func own(pid int32, name string) model.Owner {
	return model.Owner{PID: pid, Name: name, Container: model.NoContainer}
}

// first finds the first owners alone.
func (f *Finder) first(ctx context.Context, wanted *Wanted, dst []model.Owner) ([]model.Owner, error) {
	dst, _, err := f.Find(ctx, wanted, dst, nil)
	return dst, err
}

func TestFind(t *testing.T) {
	const none = model.NoOwner
	for _, test := range []struct {
		name      string
		processes []entry
		wanted    map[uint32]int32 // what is expected to stand there; all are wanted
		owners    []model.Owner
	}{
		{
			name:      "one socket",
			processes: []entry{{"7", "monerod\n", fds("socket:[123]")}},
			wanted:    map[uint32]int32{123: 0}, owners: []model.Owner{own(7, "monerod")},
		},
		{
			name: "several processes, and a socket of nobody",
			processes: []entry{
				{"7", "monerod\n", fds("socket:[1]", "/dev/null", "socket:[2]", "socket:[3]")},
				{"8", "bash\n", fds("/dev/pts/0")},
				{"9", "curl\n", fds("socket:[4]", "socket:[6]")},
			},
			wanted: map[uint32]int32{1: 0, 3: 0, 4: 1, 5: none}, owners: []model.Owner{own(7, "monerod"), own(9, "curl")},
		},
		{
			name: "of several owners the lowest number counts, not the first in the directory or by the alphabet",
			processes: []entry{
				{"1000", "worker\n", fds("socket:[1]")},
				{"100", "worker\n", fds("socket:[1]", "socket:[2]")},
				{"20", "parent\n", fds("socket:[1]")},
				{"3000", "worker\n", fds("socket:[1]", "socket:[2]")},
			},
			wanted: map[uint32]int32{1: 0, 2: 1}, owners: []model.Owner{own(20, "parent"), own(100, "worker")},
		},
		{
			name: "systemd as process 1 has passed a socket to a service, and one to none",
			processes: []entry{
				{"1", "systemd\n", fds("socket:[1]", "socket:[2]")},
				{"20", "sshd\n", fds("socket:[1]")},
				{"30", "worker\n", fds("socket:[1]")},
			},
			wanted: map[uint32]int32{1: 0, 2: 1}, owners: []model.Owner{own(20, "sshd"), own(1, "systemd")},
		},
		{
			name: "process 1 is the parent of workers, as in a container",
			processes: []entry{
				{"1", "nginx\n", fds("socket:[1]", "socket:[2]")},
				{"20", "nginx\n", fds("socket:[1]")},
			},
			wanted: map[uint32]int32{1: 0, 2: 0}, owners: []model.Owner{own(1, "nginx")},
		},
		{
			name:      "one socket under two descriptors",
			processes: []entry{{"7", "monerod\n", fds("socket:[1]", "socket:[1]")}, {"8", "curl\n", fds("socket:[2]")}},
			wanted:    map[uint32]int32{1: 0, 2: 1}, owners: []model.Owner{own(7, "monerod"), own(8, "curl")},
		},
		{
			name:      "a process that is gone, or not ours to look into, is passed over",
			processes: []entry{{"7", "gone\n", nil}, {"8", "monerod\n", fds("socket:[1]")}, {"9", "empty\n", fds()}},
			wanted:    map[uint32]int32{1: 0, 2: none}, owners: []model.Owner{own(8, "monerod")},
		},
		{
			name:      "a process that leaves before it is named",
			processes: []entry{{"7", "", fds("socket:[1]")}},
			wanted:    map[uint32]int32{1: 0}, owners: []model.Owner{own(7, "")},
		},
		{
			name: "a process may call itself anything",
			processes: []entry{
				{"7", "a\n\"\xff b\n", fds("socket:[1]")}, {"8", "\n", fds("socket:[2]")}, {"9", "no newline", fds("socket:[3]")}, {"10", "two\n\n", fds("socket:[4]")},
			},
			wanted: map[uint32]int32{1: 0, 2: 1, 3: 2, 4: 3},
			owners: []model.Owner{own(7, "a\n\"\xff b"), own(8, ""), own(9, "no newline"), own(10, "two\n")},
		},
		{
			name: "what is no socket",
			processes: []entry{{"7", "monerod\n", fds("/socket:[1]", "pipe:[1]", "anon_inode:[1]", "socket:1", "socket:[1", "socket:[]", "socket:[1] ",
				"socket:[+1]", "socket:[-1]", "socket:[1x]", "socket:[0x1]", "socket:[4294967297]", "socket:[18446744073709551617]",
				"socket:[1]/"+strings.Repeat("x", 4000), "/"+strings.Repeat("y/", 2000))}},
			wanted: map[uint32]int32{1: none},
		},
		{
			name:      "a link that is cut off is no socket, however its beginning reads",
			processes: []entry{{"7", "monerod\n", fds("socket:[" + strings.Repeat("0", 54) + "1]/more")}},
			wanted:    map[uint32]int32{1: none},
		},
		{
			name:      "the largest inode",
			processes: []entry{{"7", "monerod\n", fds("socket:[4294967295]", "socket:[0]")}},
			wanted:    map[uint32]int32{math.MaxUint32: 0}, owners: []model.Owner{own(7, "monerod")},
		},
		{
			name: "what is no process",
			processes: []entry{
				{"self", "a\n", fds("socket:[1]")},
				{"2147483648", "b\n", fds("socket:[1]")},
				{"99999999999999999999", "c\n", fds("socket:[1]")},
				{"-7", "d\n", fds("socket:[1]")},
				{"+7", "e\n", fds("socket:[1]")},
				{"7x", "f\n", fds("socket:[1]")},
				{"sys", "g\n", fds("socket:[1]")},
			},
			wanted: map[uint32]int32{1: none},
		},
		{
			name:      "the largest number",
			processes: []entry{{"2147483647", "monerod\n", fds("socket:[1]")}},
			wanted:    map[uint32]int32{1: 0}, owners: []model.Owner{own(math.MaxInt32, "monerod")},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := NewFinder(procOf(t, test.processes...))
			for _, buffer := range []int{32 << 10, 64} { // the second takes one entry or two at a time
				f.dirents = make([]byte, buffer)
				var inodes []uint32
				for inode := range test.wanted {
					inodes = append(inodes, inode)
				}
				wanted := wanting(inodes...)
				owners, err := f.first(t.Context(), wanted, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.owners, owners); diff != "" {
					t.Errorf("buffer of %d: owners (-want +got):\n%s", buffer, diff)
				}
				if diff := cmp.Diff(test.wanted, wanted.found(maps.Keys(test.wanted))); diff != "" {
					t.Errorf("buffer of %d: inodes (-want +got):\n%s", buffer, diff)
				}
			}
		})
	}
}

func TestFindAppends(t *testing.T) {
	f := NewFinder(procOf(t, entry{"7", "monerod\n", fds("socket:[1]")}))
	wanted := wanting(1)
	owners, err := f.first(t.Context(), wanted, []model.Owner{own(1, "init")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]model.Owner{own(1, "init"), own(7, "monerod")}, owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if wanted.Owner(1) != 1 {
		t.Errorf("owner at index %d, want 1", wanted.Owner(1))
	}
}

// A process that cannot be read, for another reason than that it is gone or not ours, fails the look.
func TestFindErrors(t *testing.T) {
	proc := procOf(t, entry{"7", "monerod\n", fds("socket:[1]")}, entry{"8", "broken\n", nil})
	if err := os.WriteFile(filepath.Join(proc, "8", "fd"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	owners, err := NewFinder(proc).first(t.Context(), wanting(1), nil)
	if !errors.Is(err, unix.ENOTDIR) || err.Error() != "read the descriptors of process 8: not a directory" || owners != nil {
		t.Errorf("owners %v, error %v: want that process 8 cannot be read", owners, err)
	}

	nowhere := NewFinder(filepath.Join(proc, "none"))
	if owners, err := nowhere.first(t.Context(), wanting(), nil); err != nil || owners != nil {
		t.Errorf("nothing wanted: owners %v, error %v, want none and none", owners, err)
	}
	_, err = nowhere.first(t.Context(), wanting(1), nil)
	if want := "list the processes: open " + filepath.Join(proc, "none") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestFindThatIsCancelled(t *testing.T) {
	why := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	wanted := wanting(1)
	f := NewFinder(procOf(t, entry{"7", "monerod\n", fds("socket:[1]")}))
	owners, err := f.first(ctx, wanted, nil)
	if !errors.Is(err, why) || owners != nil || wanted.Owner(1) != model.NoOwner {
		t.Errorf("owners %v, inode's owner %d, error %v, want %v alone", owners, wanted.Owner(1), err, why)
	}
}

// A process that leaves while its descriptors are listed is the owner of those that were, and the next process is not.
func TestFindOfAProcessThatLeavesHalfWay(t *testing.T) {
	processes := []entry{{"7", "gone\n", fds("socket:[1]")}, {"8", "monerod\n", fds("socket:[2]")}}
	for _, test := range []struct {
		err     unix.Errno
		wantErr string
		wanted  map[uint32]int32
		owners  []model.Owner
	}{
		{unix.ENOENT, "", map[uint32]int32{1: 0, 2: 1}, []model.Owner{own(7, "gone"), own(8, "monerod")}},
		{unix.EIO, "read the descriptors of process 7: input/output error", map[uint32]int32{1: model.NoOwner, 2: model.NoOwner}, nil},
	} {
		f := NewFinder(procOf(t, processes...))
		first := -1
		f.getdents = func(fd int, buf []byte) (int, error) {
			n, err := unix.Getdents(fd, buf)
			if n == 0 && first < 0 { // the end of the first process's
				first = fd
				return 0, test.err
			}
			return n, err
		}
		wanted := wanting(1, 2)
		owners, err := f.first(t.Context(), wanted, nil)
		if got := fmt.Sprint(err); (err != nil || test.wantErr != "") && got != test.wantErr {
			t.Errorf("%v: error %v, want %q", test.err, err, test.wantErr)
		}
		if diff := cmp.Diff(test.owners, owners); diff != "" {
			t.Errorf("%v: owners (-want +got):\n%s", test.err, diff)
		}
		if diff := cmp.Diff(test.wanted, wanted.found(maps.Keys(test.wanted))); diff != "" {
			t.Errorf("%v: inodes (-want +got):\n%s", test.err, diff)
		}
	}
}

func TestFindGoesOnAfterASignal(t *testing.T) {
	f := NewFinder(procOf(t, entry{"7", "monerod\n", fds("socket:[1]")}))
	interrupted := 0
	f.getdents = func(fd int, buf []byte) (int, error) {
		if interrupted++; interrupted%2 == 1 {
			return -1, unix.EINTR
		}
		return unix.Getdents(fd, buf)
	}
	owners, err := f.first(t.Context(), wanting(1), nil)
	if diff := cmp.Diff([]model.Owner{own(7, "monerod")}, owners); err != nil || diff != "" {
		t.Errorf("error %v, owners (-want +got):\n%s", err, diff)
	}
}

func TestPassedOver(t *testing.T) {
	for err, want := range map[error]bool{
		unix.ENOENT: true, unix.ESRCH: true, unix.EACCES: true, unix.EPERM: true,
		unix.EMFILE: false, unix.ENOTDIR: false, unix.EIO: false,
	} {
		if got := passedOver(err); got != want {
			t.Errorf("%v: %t, want %t", err, got, want)
		}
	}
}

func FuzzSocketInode(f *testing.F) {
	for _, link := range []string{
		"socket:[123]", "socket:[0]", "socket:[4294967295]", "socket:[4294967296]", "socket:[007]", "socket:[]", "socket:[", "socket:[1]]", "socket:[+1]",
		"socket:[99999999999999999999999]", "pipe:[1]", "", "/socket:[1]", "socket:[1\x00]",
	} {
		f.Add([]byte(link))
	}
	f.Fuzz(func(t *testing.T, link []byte) {
		got, ok := socketInode(link)
		digits, isSocket := strings.CutPrefix(string(link), "socket:[")
		digits, closed := strings.CutSuffix(digits, "]")
		want, err := strconv.ParseUint(digits, 10, 32)
		valid := isSocket && closed && err == nil // ParseUint takes no sign
		if ok != valid || valid && got != uint32(want) || !ok && got != 0 {
			t.Errorf("%q: %d, %t, want %d, %t", link, got, ok, want, valid)
		}
	})
}

// Of a listener that several processes hold each is told, once.
func TestFindAll(t *testing.T) {
	f := NewFinder(procOf(
		t,
		entry{"7", "nginx\n", fds("socket:[1]", "socket:[2]")},
		entry{"8", "nginx\n", fds("socket:[1]", "socket:[1]", "socket:[2]")},
		entry{"9", "nginx\n", fds("socket:[1]")},
		entry{"10", "stranger\n", fds("socket:[2]")},
	))
	wanted := wantingEvery(1)
	wanted.Add(2, false)
	owners, shared, err := f.Find(t.Context(), wanted, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]model.Owner{own(7, "nginx"), own(8, "nginx"), own(9, "nginx")}, owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]model.SharedListener{{Inode: 1, Owner: 1}, {Inode: 1, Owner: 2}}, shared); diff != "" {
		t.Errorf("further owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[uint32]int32{1: 0, 2: 0}, wanted.found(slices.Values([]uint32{1, 2}))); diff != "" {
		t.Errorf("first owners (-want +got):\n%s", diff)
	}
}
