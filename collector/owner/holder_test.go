//go:build linux

package owner

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// holdSockets is set, to its name, in the environment of a process that only holds descriptors, and does with them as it is
// told.
const holdSockets = "OWNER_TEST_HOLD_SOCKETS"

func TestMain(m *testing.M) {
	if name := os.Getenv(holdSockets); name != "" {
		if err := hold(name); err != nil {
			fmt.Fprintf(os.Stderr, "process %s: %v\n", name, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// holder is such a process, as the test sees it. Its first inherited descriptor has the number 3.
type holder struct {
	t     *testing.T
	pid   int32
	stdin io.WriteCloser
	lines *bufio.Reader
	end   func() // ends it and waits for that; once
}

// start starts a process of that name with these files, and with what change does to the command.
func start(t *testing.T, name string, change func(*exec.Cmd), files ...*os.File) *holder {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	// The race detector would have each process wait for a second before it ends.
	cmd.Env = append(os.Environ(), holdSockets+"="+name, "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
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
	ended := false
	h := &holder{t: t, pid: int32(cmd.Process.Pid), stdin: stdin, lines: bufio.NewReader(stdout)}
	h.end = func() {
		if ended {
			return
		}
		ended = true
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %s: %v", name, err)
		}
	}
	t.Cleanup(h.end)
	h.expect("ready")
	return h
}

// tell has the process do something and returns what it says, a number for each %d of want.
func (h *holder) tell(command string) []int {
	h.t.Helper()
	if _, err := fmt.Fprintln(h.stdin, command); err != nil {
		h.t.Fatal(err)
	}
	line, err := h.lines.ReadString('\n')
	if err != nil {
		h.t.Fatalf("told to %s, process %d said %q: %v", command, h.pid, line, err)
	}
	var numbers []int
	for _, field := range strings.Fields(line) {
		n, err := strconv.Atoi(field)
		if err != nil {
			h.t.Fatalf("told to %s, process %d said %q", command, h.pid, line)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (h *holder) expect(want string) {
	h.t.Helper()
	if line, err := h.lines.ReadString('\n'); err != nil || line != want+"\n" {
		h.t.Fatalf("process %d said %q, want %q: %v", h.pid, line, want, err)
	}
}

// socket has the process make a TCP socket.
func (h *holder) socket() (fd int, inode uint32) {
	h.t.Helper()
	said := h.tell("socket")
	return said[0], uint32(said[1])
}

// file has it open a file.
func (h *holder) file() (fd int) { h.t.Helper(); return h.tell("file")[0] }

func (h *holder) close(fd int) { h.t.Helper(); h.tell(fmt.Sprint("close ", fd)) }

// move has it move a descriptor to another number.
func (h *holder) move(fd, to int) { h.t.Helper(); h.tell(fmt.Sprint("move ", fd, " ", to)) }

// pass has it send a descriptor through the socket that is its descriptor 3, and take has it receive one.
func (h *holder) pass(fd int)    { h.t.Helper(); h.tell(fmt.Sprint("pass ", fd)) }
func (h *holder) take() (fd int) { h.t.Helper(); return h.tell("take")[0] }

// thread has it make a TCP socket in a thread with descriptors of its own.
func (h *holder) thread() (inode uint32) { h.t.Helper(); return uint32(h.tell("thread")[0]) }

// hold is the process.
func hold(name string) error {
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := obey(strings.Fields(in.Text())); err != nil {
			return fmt.Errorf("%s: %w", in.Text(), err)
		}
	}
	return in.Err()
}

func obey(words []string) error {
	var fd, to int
	for i, number := range []*int{&fd, &to} {
		if i+1 < len(words) {
			*number, _ = strconv.Atoi(words[i+1])
		}
	}
	switch words[0] {
	case "socket":
		fd, inode, err := tcpSocket()
		fmt.Println(fd, inode)
		return err
	case "file":
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		fmt.Println(fd)
		return err
	case "close":
		err := unix.Close(fd)
		fmt.Println(0)
		return err
	case "dup":
		dup, err := unix.Dup(fd)
		fmt.Println(dup)
		return err
	case "move":
		err := errors.Join(unix.Dup3(fd, to, unix.O_CLOEXEC), unix.Close(fd))
		fmt.Println(0)
		return err
	case "pass":
		err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0)
		fmt.Println(0)
		return err
	case "take":
		oob := make([]byte, unix.CmsgSpace(4))
		if _, _, _, _, err := unix.Recvmsg(3, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC); err != nil {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(oob)
		if err != nil {
			return err
		}
		taken, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		fmt.Println(taken[0])
		return nil
	case "thread":
		inodes := make(chan uint32)
		go inThread(func() {
			if err := unix.Unshare(unix.CLONE_FILES); err != nil {
				panic(err)
			}
			_, inode, err := tcpSocket()
			if err != nil {
				panic(err)
			}
			inodes <- inode
		})
		fmt.Println(<-inodes)
		return nil
	case "iterate":
		_, err := OpenIterator()
		fmt.Println(err)
		return nil
	default:
		return errors.New("unknown command")
	}
}

// inThread calls f in a thread that is not the first of the process and is used for nothing else, for ever.
func inThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go inThread(f) // in another, since this goroutine has the first
	} else {
		f()
	}
	select {}
}

func tcpSocket() (fd int, inode uint32, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	inode, err = inodeOf(fd)
	return fd, inode, err
}

func inodeOf(fd int) (uint32, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return uint32(stat.Ino), err
}

// pair starts two processes between which descriptors can be passed. Both have the files from descriptor 4 on.
func pair(t *testing.T, files ...*os.File) (a, b *holder) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, to := range []**holder{&a, &b} {
		end := os.NewFile(uintptr(ends[i]), "socketpair")
		*to = start(t, string(rune('a'+i)), nil, append([]*os.File{end}, files...)...)
		end.Close()
	}
	return a, b
}

// in puts a process into new namespaces.
func in(flags uintptr) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if flags&syscall.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
}
