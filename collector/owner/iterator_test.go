//go:build linux

package owner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// BPF can be had by who may use it, and who may not is told why.
func TestOpenIterator(t *testing.T) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		t.Fatal(err)
	}
	uids, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	_, noBTF := os.Stat("/sys/kernel/btf/vmlinux")
	var missing []string
	set := effective(t)
	if set&(1<<39|1<<21) == 0 {
		missing = append(missing, "CAP_BPF")
	}
	if set&(1<<38|1<<21) == 0 {
		missing = append(missing, "CAP_PERFMON")
	}

	it, err := OpenIterator()
	var unavailable *UnavailableError
	var capabilities *capability.MissingError
	switch {
	case ns.Ino != 4026531836: // the first of /proc/self/ns/pid on every Linux
		if !errors.As(err, &unavailable) || !errors.Is(err, ErrPIDNamespace) {
			t.Errorf("in a pid namespace: error %v", err)
		}
	case missing != nil:
		if !errors.As(err, &unavailable) || !errors.As(err, &capabilities) {
			t.Fatalf("without capabilities: error %v", err)
		}
		if diff := cmp.Diff(missing, capabilities.Names); diff != "" {
			t.Errorf("missing (-want +got):\n%s", diff)
		}
	case strings.Join(strings.Fields(string(uids)), " ") != "0 0 4294967295", noBTF != nil:
		if !errors.As(err, &unavailable) {
			t.Errorf("in a user namespace, or without BTF: error %v", err)
		}
	case err != nil:
		t.Errorf("error %v, where BPF can be had", err)
	default:
		if err := it.Close(); err != nil {
			t.Error(err)
		}
	}
}

// In namespaces of its own a process has no use for BPF, or no right to it.
func TestOpenIteratorInNamespaces(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags uintptr
		want  string
	}{
		{"pid", syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID, "owners cannot be found by BPF: this process is in a pid namespace of its own, where the kernel's process numbers mean nothing"},
		{"user", syscall.CLONE_NEWUSER, "owners cannot be found by BPF: the kernel does not permit it, as in a user namespace or under lockdown: "},
	} {
		h := start(t, test.name, in(test.flags))
		fmt.Fprintln(h.stdin, "iterate")
		if line, err := h.lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, test.want) {
			t.Errorf("%s namespace: %q, %v, want %q", test.name, line, err, test.want)
		}
	}
}

func TestExplain(t *testing.T) {
	reason := errors.New("no such type")
	err := explain(reason)
	want := "it takes Linux 5.11 or later with type information of itself (/sys/kernel/btf/vmlinux), and this is Linux " + release() + ": no such type"
	if err.Error() != want || !errors.Is(err, reason) {
		t.Errorf("%q, want %q", err, want)
	}
	version, readErr := os.ReadFile("/proc/sys/kernel/osrelease")
	if readErr != nil {
		t.Fatal(readErr)
	}
	if release()+"\n" != string(version) {
		t.Errorf("release %q, want %q", release(), version)
	}
}

// iterating is an Iterator that the kernel tells this.
func iterating(records ...taskfile.Record) *Iterator {
	return &Iterator{reader: processes.NewReader("/proc"), read: func(_ context.Context, dst []taskfile.Record) ([]taskfile.Record, error) {
		return append(dst, records...), nil
	}}
}

func held(tgid, inode uint32) taskfile.Record { return taskfile.Record{TGID: tgid, Inode: inode} }

// nobody is a process number that no kernel gives (PID_MAX_LIMIT is 4194304), so that it has no name.
const nobody = 1 << 30

func TestIteratorFind(t *testing.T) {
	for _, test := range []struct {
		name    string
		records []taskfile.Record
		wanted  map[uint32]int32 // what is expected to stand there; all are wanted, and all owners of 1
		owners  []model.Owner
		shared  []model.SharedListener
	}{
		{"nothing", nil, map[uint32]int32{1: model.NoOwner}, nil, nil},
		{
			"what is not wanted",
			[]taskfile.Record{held(nobody, 7), held(nobody+1, 2), held(nobody+2, 8)},
			map[uint32]int32{1: model.NoOwner, 2: 0},
			[]model.Owner{own(nobody+1, "")},
			nil,
		},
		{
			"several owners",
			[]taskfile.Record{held(nobody, 1), held(nobody, 2), held(nobody+1, 1), held(nobody+2, 2)},
			map[uint32]int32{1: 0, 2: 0},
			[]model.Owner{own(nobody, ""), own(nobody+1, "")},
			[]model.SharedListener{{Inode: 1, Owner: 1}},
		},
		{
			"several descriptors of one socket",
			[]taskfile.Record{held(nobody, 1), held(nobody, 1), held(nobody+1, 1), held(nobody+1, 1)},
			map[uint32]int32{1: 0},
			[]model.Owner{own(nobody, ""), own(nobody+1, "")},
			[]model.SharedListener{{Inode: 1, Owner: 1}},
		},
		{
			"a thread of the first process, which comes after the second",
			[]taskfile.Record{held(nobody, 3), held(nobody+1, 1), held(nobody+1, 2), held(nobody, 1), held(nobody, 2)},
			map[uint32]int32{1: 0, 2: 0, 3: 0},
			[]model.Owner{own(nobody, ""), own(nobody+1, "")},
			[]model.SharedListener{{Inode: 1, Owner: 1}},
		},
	} {
		var inodes []uint32
		for inode := range test.wanted {
			inodes = append(inodes, inode)
		}
		wanted := wanting(inodes...)
		wanted.Add(1, true)
		owners, shared, err := iterating(test.records...).Find(t.Context(), wanted, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.owners, owners); diff != "" {
			t.Errorf("%s: owners (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.shared, shared); diff != "" {
			t.Errorf("%s: further owners (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.wanted, wanted.found(maps.Keys(test.wanted))); diff != "" {
			t.Errorf("%s: inodes (-want +got):\n%s", test.name, diff)
		}
	}
}

// Of systemd as process 1 a socket is that it has passed to nobody.
func TestClaimRecords(t *testing.T) {
	records := []taskfile.Record{held(1, 1), held(1, 2), held(nobody, 1), held(nobody, 3)}
	for _, test := range []struct {
		firstLast bool
		pids      []int32          // of the owners
		want      map[uint32]int32 // the owner of each socket
		shared    []model.SharedListener
	}{
		{false, []int32{1, nobody}, map[uint32]int32{1: 0, 2: 0, 3: 1}, []model.SharedListener{{Inode: 1, Owner: 1}}},
		{true, []int32{nobody, 1}, map[uint32]int32{1: 0, 2: 1, 3: 0}, []model.SharedListener{{Inode: 1, Owner: 1}}},
	} {
		s := search{wanted: wantingEvery(1, 2, 3), reader: processes.NewReader("/proc")}
		s.claimRecords(records, test.firstLast)
		var pids []int32
		for _, o := range s.owners {
			pids = append(pids, o.PID)
		}
		if diff := cmp.Diff(test.pids, pids); diff != "" {
			t.Errorf("%v: owners (-want +got):\n%s", test.firstLast, diff)
		}
		if diff := cmp.Diff(test.want, s.wanted.found(maps.Keys(test.want))); diff != "" {
			t.Errorf("%v: sockets (-want +got):\n%s", test.firstLast, diff)
		}
		if diff := cmp.Diff(test.shared, s.shared); diff != "" {
			t.Errorf("%v: further owners (-want +got):\n%s", test.firstLast, diff)
		}
	}
}

func TestIteratorFindErrors(t *testing.T) {
	it := &Iterator{reader: processes.NewReader("/proc"), read: func(_ context.Context, dst []taskfile.Record) ([]taskfile.Record, error) {
		return append(dst, held(1, 1)), unix.ENOMEM
	}}
	wanted := wanting(1)
	owners, _, err := it.Find(t.Context(), wanted, nil, nil)
	if !errors.Is(err, unix.ENOMEM) || err.Error() != "find the owners of the sockets by BPF: cannot allocate memory" || owners != nil || wanted.Owner(1) != model.NoOwner {
		t.Errorf("owners %v, inode's owner %d, error %v", owners, wanted.Owner(1), err)
	}
	if owners, _, err := it.Find(t.Context(), wanting(), nil, nil); err != nil || owners != nil {
		t.Errorf("nothing wanted: owners %v, error %v", owners, err)
	}
}
