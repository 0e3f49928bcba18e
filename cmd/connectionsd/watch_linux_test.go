package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// asCommand are the arguments with which this test binary is the command with args.
func asCommand(args ...string) []string {
	return append([]string{"-test.run=^TestAsCommand$", "--", "connectionsd"}, args...)
}

// TestAsCommand is main, for those who run this binary with asCommand.
func TestAsCommand(*testing.T) {
	if flag.Arg(0) != "connectionsd" {
		return // it is no test, and this process is to run those: nothing is left out
	}
	os.Args = flag.Args()
	main()
}

// terminal is one with the command on it.
type terminal struct {
	command *exec.Cmd
	master  *os.File
	slave   *os.File // to look at its modes
	read    sync.WaitGroup

	mu      sync.Mutex
	output  bytes.Buffer
	arrived chan struct{}
}

// onTerminal runs the command with args on a terminal of so many columns and 20 lines.
func onTerminal(t *testing.T, columns uint16, args ...string) *terminal {
	t.Helper()
	term := &terminal{command: exec.CommandContext(t.Context(), "/proc/self/exe", asCommand(args...)...), arrived: make(chan struct{}, 1)}
	term.command.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=")
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no terminal can be had: ", err)
	}
	// Another descriptor, that a read does not keep from being closed: pty makes its own block.
	term.master, term.slave = pollable(t, master), slave
	t.Cleanup(func() {
		term.slave.Close()
		term.master.Close()
		term.read.Wait()
	})
	term.resize(t, columns, 20)
	term.command.Stdin, term.command.Stdout, term.command.Stderr = term.slave, term.slave, term.slave
	term.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.command.Start(); err != nil {
		t.Fatal(err)
	}
	term.read.Go(func() {
		_, err := io.Copy(term, term.master)
		if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) { // nobody has the other end, or this one
			t.Error(err)
		}
	})
	return term
}

// Write takes what the command writes to its terminal.
func (term *terminal) Write(b []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	select {
	case term.arrived <- struct{}{}:
	default:
	}
	return term.output.Write(b)
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.output.String()
}

func (term *terminal) resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	raw, err := term.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}

// pollable returns a file that is what f is, and closes f.
func pollable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// shows waits until all of texts have been written since the last call.
func (term *terminal) shows(t *testing.T, texts ...string) {
	t.Helper()
	term.wait(t, func() {}, texts)
}

// redraws is shows for a screen of which only a part may be new: another size of the terminal makes it be drawn as a whole.
func (term *terminal) redraws(t *testing.T, texts ...string) {
	t.Helper()
	columns := uint16(100)
	term.wait(t, func() {
		columns = 199 - columns
		term.resize(t, columns, 20)
	}, texts)
}

func (term *terminal) wait(t *testing.T, again func(), texts []string) {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	anew := time.NewTicker(500 * time.Millisecond) // the last of it may have been a part of what is wanted
	defer anew.Stop()
	for {
		text := term.text()
		missing := slices.IndexFunc(texts, func(want string) bool { return !strings.Contains(text, want) })
		if missing < 0 {
			term.mu.Lock()
			term.output.Reset()
			term.mu.Unlock()
			return
		}
		again()
		select {
		case <-term.arrived:
		case <-anew.C:
		case <-timeout.C:
			t.Fatalf("no %q in %q", texts[missing], text)
		}
	}
}

func (term *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(term.master, keys); err != nil {
		t.Fatal(err)
	}
}

func (term *terminal) modes(t *testing.T) *unix.Termios {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return modes
}

// watch shows real connections with their rates on a real terminal, does what keys say, and leaves the terminal as it was,
// by the key, by SIGTERM, and when the terminal goes.
func TestWatchOnATerminal(t *testing.T) {
	opened, accepted := connect(t, "127.0.0.1:0")
	at := opened.LocalAddr().String()
	port := accepted.LocalAddr().(*net.TCPAddr).Port
	for _, tc := range []struct {
		name string
		end  func(t *testing.T, term *terminal)
		gone bool // the terminal
	}{
		{"key", func(t *testing.T, term *terminal) { term.press(t, "q") }, false},
		{"SIGTERM", func(t *testing.T, term *terminal) {
			if err := term.command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}, false},
		{"closed", func(t *testing.T, term *terminal) { term.slave.Close(); term.master.Close() }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			term := onTerminal(t, 100, "watch", "--netns=self", "--container-api=none", "--interval=100ms", fmt.Sprintf("--local-port=%d,%d", opened.LocalAddr().(*net.TCPAddr).Port, port))
			before := term.modes(t)
			term.shows(t, "\x1b[?1049h", "this host", ", 2 connections, in and out, every 100ms", at, "RECV/S")

			// What moves while it looks has a rate: of 64 KiB each millisecond at the most, since loopback can move a GiB in a second.
			stop := make(chan struct{})
			var sending sync.WaitGroup
			sending.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						send(t, opened, accepted, 1<<16)
					}
				}
			})
			stopSending := sync.OnceFunc(func() { close(stop); sending.Wait() })
			defer stopSending() // before the connection is closed, if what follows fails
			term.shows(t, "█", "Mi")
			stopSending()

			term.press(t, "i")
			term.redraws(t, ", 1 of 2 connections, in, every 100ms")
			term.press(t, "?")
			term.redraws(t, "choose the column to sort by", "any key: back")
			term.press(t, "?l")
			term.redraws(t, ", 1 listener, every 100ms", fmt.Sprint("127.0.0.1:", port), "Localhost only (IPv4)")
			tc.end(t, term)
			if err := term.command.Wait(); err != nil {
				t.Errorf("%v: %q", err, term.text())
			}
			if tc.gone {
				return
			}
			term.shows(t, "\x1b[?1049l", "\x1b[?25h")
			if diff := cmp.Diff(before, term.modes(t)); diff != "" {
				t.Errorf("modes of the terminal (-before +after):\n%s", diff)
			}
		})
	}
}

// list fits the terminal and has colours on it; NO_COLOR takes them away.
func TestListOnATerminal(t *testing.T) {
	opened, _ := connect(t, "127.0.0.1:0")
	_, port, _ := strings.Cut(opened.LocalAddr().String(), ":")
	term := onTerminal(t, 100, "list", "--netns=self", "--container-api=none", "--local-port="+port)
	if err := term.command.Wait(); err != nil {
		t.Error(err)
	}
	term.shows(t, "\x1b[1mDIR\x1b[0m  \x1b[1mSTATE\x1b[0m ", "\x1b[34mout\x1b[0m  ESTABLISHED  ", "\r\n")
}

// Without a terminal --once shows what there is after two looks.
func TestWatchOnce(t *testing.T) {
	opened, accepted := connect(t, "127.0.0.1:0")
	port := fmt.Sprint(accepted.LocalAddr().(*net.TCPAddr).Port)
	code, stdout, stderr := runCommand(t, nil, "watch", "--once", "--interval=100ms", "--netns=self", "--container-api=none", "--local-port="+port)
	lines := strings.Split(stdout, "\n")
	if code != exitOK || len(lines) != 5 || lines[0] != "connectionsd: this host, 1 connection, in and out, every 100ms" {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	fields := strings.Fields(lines[3])
	fields[4] = "AGE"
	want := []string{"in", "ESTABLISHED", "127.0.0.1:" + port, opened.LocalAddr().String(), "AGE", "0", "▁", "0", "▁", fmt.Sprint(os.Getpid()), ownName(t), "-"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

// A terminal has its own width, and colours unless something speaks against them; what is no terminal has neither.
func TestScreen(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no terminal can be had: ", err)
	}
	defer master.Close()
	defer slave.Close()
	for _, tc := range []struct {
		columns uint16
		mode    colourMode
		environ []string
		want    screen
	}{
		{120, colourAuto, []string{"TERM=xterm"}, screen{true, 120, true}},
		{120, colourAuto, []string{"NO_COLOR="}, screen{true, 120, true}},
		{120, colourAuto, []string{"NO_COLOR=1"}, screen{true, 120, false}},
		{120, colourAuto, []string{"TERM=dumb"}, screen{true, 120, false}},
		{120, colourAlways, []string{"NO_COLOR=1", "TERM=dumb"}, screen{true, 120, true}},
		{120, colourNever, nil, screen{true, 120, false}},
		{0, colourAuto, nil, screen{true, 80, true}}, // it does not tell
	} {
		if err := pty.Setsize(slave, &pty.Winsize{Cols: tc.columns, Rows: 20}); err != nil {
			t.Fatal(err)
		}
		if got := screenOf(slave, tc.mode, tc.environ); got != tc.want {
			t.Errorf("%d columns, %s, %q: %+v, want %+v", tc.columns, tc.mode, tc.environ, got, tc.want)
		}
	}
	for mode, want := range map[colourMode]screen{colourAuto: {}, colourNever: {}, colourAlways: {colour: true}} {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []io.Writer{file, new(bytes.Buffer)} {
			if got := screenOf(w, mode, nil); got != want {
				t.Errorf("%T, %s: %+v, want %+v", w, mode, got, want)
			}
		}
		file.Close()
	}
}
