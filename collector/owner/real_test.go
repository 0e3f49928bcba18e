//go:build linux

package owner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/model"
)

// holdSockets is set, to its name, in the environment of a process that only holds the descriptors it was given.
const holdSockets = "OWNER_TEST_HOLD_SOCKETS"

func TestMain(m *testing.M) {
	if name := os.Getenv(holdSockets); name != "" {
		hold(name)
		return
	}
	os.Exit(m.Run())
}

func hold(name string) {
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is done
}

// heldBy starts a process of that name that holds the files, and returns its number.
func heldBy(t *testing.T, name string, files ...*os.File) int32 {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdSockets+"="+name)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %s: %v", name, err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("process %s said %q, error %v", name, line, err)
	}
	return int32(cmd.Process.Pid)
}

// socket is a listening socket, as a file, and its inode.
func socket(t *testing.T) (*os.File, uint32) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return file, uint32(stat.Ino)
}

func TestFindReal(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := model.Owner{PID: int32(os.Getpid()), Name: strings.TrimSuffix(string(comm), "\n")}

	_, ours := socket(t)
	shared, both := socket(t)
	passed, theirs := socket(t)
	child := model.Owner{PID: heldBy(t, `a "child" \`, shared, passed), Name: `a "child" \`}
	passed.Close()
	closed, nobodys := socket(t)
	closed.Close()

	wanted := wanting(ours, both, theirs, nobodys)
	owners, err := NewFinder("/proc").first(t.Context(), wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	parent := self
	if child.PID < self.PID { // the numbers have begun anew in between
		parent = child
	}
	got := make(map[string]model.Owner)
	for name, inode := range map[string]uint32{"ours": ours, "both's": both, "theirs": theirs, "nobody's": nobodys} {
		if at := wanted[inode]; at != model.NoOwner {
			got[name] = owners[at]
		}
	}
	want := map[string]model.Owner{"ours": self, "both's": parent, "theirs": child}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owners by socket (-want +got):\n%s", diff)
	}
	if len(owners) != 2 {
		t.Errorf("%d owners, want each once: %v", len(owners), owners)
	}
}

// More descriptors than one buffer of directory entries has room for.
func TestFindRealWithManyDescriptors(t *testing.T) {
	var inodes []uint32
	for range 50 {
		_, inode := socket(t)
		inodes = append(inodes, inode)
	}
	f := NewFinder("/proc")
	f.dirents = make([]byte, 256)
	wanted := wanting(inodes...)
	owners, err := f.first(t.Context(), wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(owners) != 1 || owners[0].PID != int32(os.Getpid()) {
		t.Errorf("owners %v, want this process alone", owners)
	}
	for inode, at := range wanted {
		if at != 0 {
			t.Errorf("inode %d: owner at index %d, want 0", inode, at)
		}
	}
}

// CheckPrivilege says what the kernel says of this process in its own words.
func TestCheckPrivilege(t *testing.T) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "\nCapEff:\t")
	var effective uint64
	if _, err := fmt.Sscanf(line, "%x\n", &effective); err != nil {
		t.Fatal(err)
	}
	var want []string
	if effective&(1<<19) == 0 {
		want = append(want, "CAP_SYS_PTRACE")
	}
	if effective&(1<<1|1<<2) == 0 {
		want = append(want, "CAP_DAC_READ_SEARCH")
	}
	err = CheckPrivilege()
	if want == nil {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	var missing *capability.MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v, want a *capability.MissingError", err)
	}
	if diff := cmp.Diff(want, missing.Names); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// BenchmarkFind walks every descriptor of this host: the inode that is wanted is nobody's.
func BenchmarkFind(b *testing.B) {
	f := NewFinder("/proc")
	for _, sockets := range []int{0, 1000} {
		b.Run(fmt.Sprintf("%d sockets more", sockets), func(b *testing.B) {
			for range sockets {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					b.Fatal(err)
				}
				defer unix.Close(fd)
			}
			wanted := wanting(0) // sockfs numbers from 1
			b.ReportAllocs()
			var owners []model.Owner
			for b.Loop() {
				var err error
				if owners, err = f.first(context.Background(), wanted, owners[:0]); err != nil {
					b.Fatal(err)
				}
			}
			if len(owners) != 0 {
				b.Fatalf("owners %v of an inode that there is not", owners)
			}
		})
	}
}
