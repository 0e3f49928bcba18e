//go:build linux

package taskfile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// mayLoad reports whether this process has what it takes to load BPF programs, in the initial user namespace.
func mayLoad(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "\nCapEff:\t")
	var effective uint64
	if _, err := fmt.Sscanf(line, "%x\n", &effective); err != nil {
		t.Fatal(err)
	}
	uids, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	capable := effective&(1<<unix.CAP_SYS_ADMIN) != 0 || effective&(1<<unix.CAP_BPF) != 0 && effective&(1<<unix.CAP_PERFMON) != 0
	return capable && strings.Join(strings.Fields(string(uids)), " ") == "0 0 4294967295"
}

// load loads the program. ok is false where that is not permitted, and then the error says so.
func load(t *testing.T) (p *Program, ok bool) {
	t.Helper()
	p, err := Load()
	if !mayLoad(t) {
		if !errors.Is(err, unix.EPERM) || !strings.HasPrefix(err.Error(), "load the BPF program: ") {
			t.Fatalf("error %v, want that it is not permitted", err)
		}
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, true
}

func inode(t *testing.T, fd int) uint32 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	return uint32(stat.Ino)
}

// Sockets of TCP are told, over IPv4 and IPv6, and others are not.
func TestReadSockets(t *testing.T) {
	p, ok := load(t)
	if !ok {
		return
	}

	var want, not []uint32
	for _, s := range []struct {
		domain, kind, protocol int
		told                   bool
	}{
		{unix.AF_INET, unix.SOCK_STREAM, 0, true},
		{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_TCP, true},
		{unix.AF_INET, unix.SOCK_STREAM, mptcp, true},
		{unix.AF_INET, unix.SOCK_DGRAM, 0, false},
		{unix.AF_INET6, unix.SOCK_DGRAM, 0, false},
		{unix.AF_UNIX, unix.SOCK_STREAM, 0, false},
		{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, false},
	} {
		fd, err := unix.Socket(s.domain, s.kind|unix.SOCK_CLOEXEC, s.protocol)
		if s.protocol == mptcp && (errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOPROTOOPT)) {
			continue // this kernel has none
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if s.told {
			want = append(want, inode(t, fd))
		} else {
			not = append(not, inode(t, fd))
		}
	}
	records, err := p.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[uint32][]uint32)
	for _, r := range records {
		told[r.Inode] = append(told[r.Inode], r.TGID)
	}
	for _, i := range want {
		if diff := cmp.Diff([]uint32{uint32(os.Getpid())}, told[i]); diff != "" {
			t.Errorf("processes of socket %d of %v (-want +got):\n%s", i, want, diff)
		}
	}
	for _, i := range not {
		if told[i] != nil {
			t.Errorf("socket %d, which is not of TCP, is told of", i)
		}
	}
}

// What does not fit into the kernel's buffer, which is 4096 records, comes with the next read: none is lost and none repeated.
func TestReadMoreThanTheBuffer(t *testing.T) {
	p, ok := load(t)
	if !ok {
		return
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const descriptors = 9001
	for range descriptors - 1 {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(dup)
	}
	first := Record{TGID: 1, Inode: math.MaxUint32}
	for range 3 {
		records, err := p.Read(t.Context(), []Record{first})
		if err != nil {
			t.Fatal(err)
		}
		if records[0] != first {
			t.Errorf("the first record is %v, want %v, which was there", records[0], first)
		}
		self := Record{TGID: uint32(os.Getpid()), Inode: inode(t, fd)}
		got := 0
		for _, r := range records {
			if r == self {
				got++
			}
		}
		if got != descriptors {
			t.Errorf("%d records of one socket, want %d", got, descriptors)
		}
	}
}

// answers is a file that is read so.
type answers []struct {
	b   []byte
	err error
}

func (a *answers) Read(p []byte) (int, error) {
	if len(*a) == 0 {
		return 0, io.EOF
	}
	now := (*a)[0]
	*a = (*a)[1:]
	return copy(p, now.b), now.err
}

// bytesAs are the bytes that the kernel writes for records.
func bytesAs(records ...Record) []byte {
	var b []byte
	for _, r := range records {
		b = binary.NativeEndian.AppendUint32(b, r.TGID)
		b = binary.NativeEndian.AppendUint32(b, r.Inode)
	}
	return b
}

func TestRead(t *testing.T) {
	many := make([]Record, room/int(unsafe.Sizeof(Record{})))
	for i := range many {
		many[i] = Record{TGID: uint32(i), Inode: uint32(2 * i)}
	}
	one := Record{TGID: 7, Inode: 1}
	for _, test := range []struct {
		name    string
		answers answers
		want    []Record
		err     string
	}{
		{"nothing", nil, nil, ""},
		{"one", answers{{b: bytesAs(one)}}, []Record{one}, ""},
		{"full reads", answers{{b: bytesAs(many...)}, {b: bytesAs(many...)}, {b: bytesAs(one)}}, slices.Concat(many, many, []Record{one}), ""},
		{"a pause", answers{{err: unix.EAGAIN}, {b: bytesAs(one)}, {err: fmt.Errorf("read: %w", unix.EAGAIN)}, {b: bytesAs(one)}}, []Record{one, one}, ""},
		{"no room for a record", answers{{b: bytesAs(one)}, {err: unix.E2BIG}}, []Record{one}, "read the files of all tasks: argument list too long"},
		{"half a record", answers{{b: bytesAs(one)[:5]}}, nil, "read the files of all tasks: 5 bytes, which is no whole number of records of 8"},
	} {
		got, err := read[Record](t.Context(), &test.answers, nil)
		if said := fmt.Sprint(err); said != test.err && (err != nil || test.err != "") {
			t.Errorf("%s: error %v, want %q", test.name, err, test.err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %d records, want %d", test.name, len(got), len(test.want))
		}
	}
}

func TestReadThatIsCancelled(t *testing.T) {
	why := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	reads := 0
	got, err := read[Record](ctx, readerFunc(func([]byte) (int, error) {
		if reads++; reads == 3 {
			cancel(why)
		}
		return 0, unix.EAGAIN
	}), nil)
	if !errors.Is(err, why) || len(got) != 0 || reads != 3 {
		t.Errorf("%d records after %d reads, error %v, want %v after 3", len(got), reads, err, why)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// mptcp is IPPROTO_MPTCP of include/uapi/linux/in.h.
const mptcp = 262
