//go:build linux

package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// procOf makes a proc file system of files by their path.
func procOf(t *testing.T, files map[string]string) string {
	t.Helper()
	proc := t.TempDir()
	for name, content := range files {
		file := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

func TestName(t *testing.T) {
	r := NewReader(procOf(t, map[string]string{
		"7/comm": "monerod\n", "8/comm": "\n", "9/comm": "two\n\n", "10/comm": "no newline", "11/comm": "a \"b\"\xff\n", "12/comm/directory": "",
	}))
	for pid, want := range map[int32]string{7: "monerod", 8: "", 9: "two\n", 10: "no newline", 11: "a \"b\"\xff", 12: "", 13: "", -1: ""} {
		if got := r.Name(pid); got != want {
			t.Errorf("process %d: %q, want %q", pid, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, test := range []struct {
		name, cmdline string
		want          []string
	}{
		{"as it was started", "node\x00/srv/app.js\x00", []string{"node", "/srv/app.js"}},
		{"an argument with blanks, and an empty one", "sh\x00-c\x00exit 0\x00\x00x\x00", []string{"sh", "-c", "exit 0", "", "x"}},
		{"bytes of any value", "a\xff\n\x00\"\x00", []string{"a\xff\n", "\""}},
		{"a kernel thread", "", nil},
		{"NULs and blanks alone", "\x00 \x00", nil},
		{"a title", "nginx: master process /usr/sbin/nginx -g daemon on;", []string{"nginx: master process /usr/sbin/nginx -g daemon on;"}},
		{"a title with blanks behind it", "redis-server *:6379      ", []string{"redis-server *:6379"}},
		{"a title with NULs behind it", "redis-server *:6379" + strings.Repeat("\x00", 100), []string{"redis-server *:6379"}},
		{"a title with more NULs than are read", "redis-server *:6379" + strings.Repeat("\x00", 9000), []string{"redis-server *:6379"}},
		{"the most that is read", "a\x00" + long(4094), []string{"a", long(4094)}},
		{"the most that is read, with its NUL", "a\x00" + long(4094) + "\x00", []string{"a", long(4094)}},
		{"more", "a\x00" + long(4094) + "\x00b\x00", []string{"a", long(4094)}},
		{"an argument that is cut", "a\x00" + long(4095) + "\x00b\x00", []string{"a", long(4094)}},
		{"much more", "a\x00" + long(9000), []string{"a", long(4094)}},
		{"a password that is cut before its @", "a\x00--db=mysql://user:" + long(9000) + "@db", []string{"a", "--db=mysql"}},
		{"a password that begins where it is cut", "a\x00b:c\x00" + long(4085) + ":bc@host", []string{"a", "b:c", long(4085)}},
		{"one argument that is cut at its beginning", "a\x00:" + long(9000), []string{"a"}},
		{"a title that is cut", "app: " + long(9000), []string{"app"}},
	} {
		r := NewReader(procOf(t, map[string]string{"7/cmdline": test.cmdline, "8/cmdline": strings.Repeat("other\x00", 900)}))
		r.Arguments(8) // what was read before is not in the answer
		if diff := cmp.Diff(test.want, r.Arguments(7)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	r := NewReader(procOf(t, map[string]string{"7/cmdline/directory": ""}))
	for _, pid := range []int32{7, 8, -1} {
		if got := r.Arguments(pid); got != nil {
			t.Errorf("process %d, which cannot be read: %q", pid, got)
		}
	}
}

// The answers are the caller's: the next question does not change them.
func TestAnswersStay(t *testing.T) {
	r := NewReader(procOf(t, map[string]string{"7/comm": "one\n", "7/cmdline": "one\x00two\x00", "8/comm": "xxx\n", "8/cmdline": "xxx\x00xxx\x00"}))
	name, args := r.Name(7), r.Arguments(7)
	r.Name(8)
	r.Arguments(8)
	if diff := cmp.Diff([]string{"one", "two"}, args); name != "one" || diff != "" {
		t.Errorf("name %q, arguments (-want +got):\n%s", name, diff)
	}
}

func TestReal(t *testing.T) {
	cmd := exec.Command("cat")
	cmd.Args = []string{"a b", "-"}
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
			t.Error(err)
		}
	})
	// Start returns before the kernel has set the new arguments.
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	r := NewReader("/proc")
	pid := int32(cmd.Process.Pid)
	if got := r.Name(pid); got != "cat" {
		t.Errorf("name %q, want cat", got)
	}
	if diff := cmp.Diff([]string{"a b", "-"}, r.Arguments(pid)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if started, err := r.Started(pid); err != nil || time.Since(started) < -2*time.Second || time.Since(started) > 10*time.Minute {
		t.Errorf("started %v ago, error %v", time.Since(started), err)
	}
	const none = 1<<31 - 1
	if name, args := r.Name(none), r.Arguments(none); name != "" || args != nil {
		t.Errorf("a process that there is not: name %q, arguments %q", name, args)
	}
}

func TestStarted(t *testing.T) {
	stat := func(starttime string) string {
		return "7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 " + starttime + strings.Repeat(" 0", 30) + "\n"
	}
	proc := procOf(t, map[string]string{
		"stat": "cpu  1 1 1 1 1 1 1 1 1 1\nbtime 1700000000\n", "7/stat": stat("12399"), "8/stat": "8 (cut", "9/stat": stat("0"),
	})
	r := NewReader(proc)
	for pid, want := range map[int32]int64{7: 1700000123, 9: 1700000000} { // a hundred ticks a second
		if got, err := r.Started(pid); err != nil || !got.Equal(time.Unix(want, 0)) {
			t.Errorf("process %d: %v, error %v, want %v", pid, got, err, time.Unix(want, 0))
		}
	}
	for pid, want := range map[int32]string{8: "read the start of process 8: ", 10: "read the start of process 10: "} {
		if got, err := r.Started(pid); err == nil || !strings.HasPrefix(err.Error(), want) || !got.IsZero() {
			t.Errorf("process %d: %v, error %v, want %s…", pid, got, err, want)
		}
	}
	if _, err := r.Started(10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a process that there is not", err)
	}
	if _, err := NewReader(filepath.Join(proc, "none")).Started(7); err == nil {
		t.Error("no error where there is no proc file system")
	}
}

func TestIsKernelThread(t *testing.T) {
	stat := func(flags string) string {
		return "7 (a ) b) S 1 7 7 0 -1 " + flags + " 1 0 0 0 1 1 0 0 20 0 1 0 0" + strings.Repeat(" 0", 30) + "\n"
	}
	proc := procOf(t, map[string]string{"2/stat": stat("2129984"), "7/stat": stat("4194304"), "8/stat": "8 (cut"})
	r := NewReader(proc)
	for pid, want := range map[int32]bool{2: true, 7: false} {
		if got, err := r.IsKernelThread(pid); err != nil || got != want {
			t.Errorf("process %d: %t, error %v, want %t", pid, got, err, want)
		}
	}
	for pid, want := range map[int32]string{8: "read the flags of process 8: ", 10: "read the flags of process 10: "} {
		if got, err := r.IsKernelThread(pid); err == nil || !strings.HasPrefix(err.Error(), want) || got {
			t.Errorf("process %d: %t, error %v, want %s…", pid, got, err, want)
		}
	}
	if _, err := r.IsKernelThread(10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a process that there is not", err)
	}
	if _, err := NewReader(filepath.Join(proc, "none")).IsKernelThread(7); err == nil {
		t.Error("no error where there is no proc file system")
	}
	if got, err := NewReader("/proc").IsKernelThread(int32(os.Getpid())); err != nil || got {
		t.Errorf("this process: %t, error %v", got, err)
	}
}

func FuzzArguments(f *testing.F) {
	for _, cmdline := range []string{"", "a\x00b\x00", "title: x  \x00\x00", strings.Repeat("a:", 3000), strings.Repeat("\x00", 5000), strings.Repeat("a", 4096) + "\x00b"} {
		f.Add(cmdline)
	}
	f.Fuzz(func(t *testing.T, cmdline string) {
		args := arguments([]byte(cmdline))
		line := strings.Join(args, "\x00")
		if len(line) > 4096 || !strings.HasPrefix(cmdline, line) || strings.TrimRight(line, "\x00 ") != line {
			t.Errorf("%q: %q", cmdline, args)
		}
		if len(cmdline) <= 4096 && line != strings.TrimRight(cmdline, "\x00 ") {
			t.Errorf("%q: %q", cmdline, args)
		}
	})
}

func BenchmarkArguments(b *testing.B) {
	r := NewReader("/proc")
	pid := int32(os.Getpid())
	b.ReportAllocs()
	for b.Loop() {
		r.Arguments(pid)
	}
}
