package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

//go:generate go test -count=1 -run ^TestCaptures$ . -args -write-captures

var writeCaptures = flag.Bool("write-captures", false, "write anew the captures in docs that are not as they should be")

// captured are the pages that show what the program prints: each "    $ connectionsd ..." and the lines after it. A command
// that ends in "# on a terminal of N columns" runs on one.
var captured = []string{"../../docs/list.md", "../../docs/watch.md"}

var (
	capture    = regexp.MustCompile(`(?m)^    \$ connectionsd ([^\n#]*?)(?:  +# on a terminal of (\d+) columns)?\n((?:    .*\n)+)`)
	ageShown   = regexp.MustCompile(`^>?(\d+[smhd])+$`)
	trendShown = regexp.MustCompile(`^[▁▂▃▄▅▆▇█]+$`)
	sizeShown  = regexp.MustCompile(`^[\d.]+[KM]i$|^\d+$`)
	timeShown  = regexp.MustCompile(`^[\d.]+ms$`)
)

// normalised returns a capture with a word for what is another every time: the numbers of processes, ages, and in watch what
// moves; and with one space where there are several.
func normalised(text string, live bool) string {
	var all []string
	for line := range strings.Lines(text) {
		line = strings.ReplaceAll(line, ",", " , ") // of CSV
		words := strings.Fields(line)
		for i, word := range words {
			switch {
			case strings.HasPrefix(words[0], "connectionsd"): // the title of watch
			case ageShown.MatchString(word):
				words[i] = "AGE"
			case trendShown.MatchString(word):
				words[i] = "TREND"
			case timeShown.MatchString(word):
				words[i] = "TIME"
			case live && sizeShown.MatchString(word) && i > 0:
				words[i] = "SIZE"
			case isProcess(word):
				words[i] = "PID"
			}
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, "\n")
}

// isProcess reports whether a word is the number of a process: of bytes the stage shows no other numbers than these two.
func isProcess(word string) bool {
	n, err := strconv.Atoi(word)
	return err == nil && n != 0 && n != stageBytes
}

// stageBytes is how much is sent where it is to be shown in bytes.
const stageBytes = 512

// The captures in docs are what the program prints of real connections to another host, but for what is another every time.
func TestCaptures(t *testing.T) {
	actors := stage(t)
	for _, page := range captured {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(page, "watch.md") {
			actors.traffic()
		}
		count := 0
		written := capture.ReplaceAllStringFunc(string(text), func(block string) string {
			count++
			parts := capture.FindStringSubmatch(block)
			live := strings.HasPrefix(parts[1], "watch")
			got := indented(printed(t, strings.Fields(parts[1]), parts[2]))
			diff := cmp.Diff(normalised(parts[3], live), normalised(got, live))
			switch {
			case diff == "":
				return block
			case !*writeCaptures:
				t.Errorf("%s: connectionsd %s (-documented +printed); go generate writes it anew:\n%s", page, parts[1], diff)
			}
			first, _, _ := strings.Cut(block, "\n")
			return first + "\n" + got
		})
		if count == 0 {
			t.Errorf("%s has no capture", page)
		}
		if *writeCaptures && written != string(text) {
			if err := os.WriteFile(page, []byte(written), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func indented(text string) string {
	var all strings.Builder
	for line := range strings.Lines(text) {
		all.WriteString(strings.TrimRight("    "+line, " \r\n") + "\n")
	}
	return all.String()
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// printed is what a command prints, on a terminal of so many columns unless that is "".
func printed(t *testing.T, args []string, columns string) string {
	t.Helper()
	args = append(args, "--netns=self", "--container-api=none")
	if columns == "" {
		code, stdout, stderr := runCommand(t, nil, args...)
		if code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return stdout
	}
	width, err := strconv.ParseUint(columns, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	term := onTerminal(t, uint16(width), args...)
	if err := term.command.Wait(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	term.slave.Close() // the last one: what is read ends
	term.read.Wait()
	return escapes.ReplaceAllString(strings.ReplaceAll(term.text(), "\r\n", "\n"), "")
}

// stage opens connections between processes of this host, 192.0.2.10, and another, which is a namespace of its own.
func stage(t *testing.T) staged {
	t.Helper()
	far := play(t, "far", syscall.CLONE_NEWNET)
	connectHosts(t, far.command.Process.Pid)
	monerod, nginx, curl := play(t, "monerod", 0), play(t, "nginx", 0), play(t, "curl", 0)

	far.does("listen 198.51.100.7:18080", "listen 203.0.113.80:443")
	monerod.does("listen 192.0.2.10:18080", "listen 127.0.0.1:18081", "dial 192.0.2.10:44312 198.51.100.7:18080")
	nginx.does("listen 0.0.0.0:443")
	curl.does("dial 192.0.2.10:51870 203.0.113.80:443")
	far.does("accept 198.51.100.7:18080", "accept 203.0.113.80:443", "dial 203.0.113.9:50122 192.0.2.10:18080", "dial 198.51.100.23:5018 192.0.2.10:443")
	monerod.does("accept 192.0.2.10:18080")
	nginx.does("accept 0.0.0.0:443")
	const much, some = 1_300_000, 86_700
	move := func(from *actor, by string, to *actor, at string, n int) {
		from.does(fmt.Sprint("send ", by, " ", n))
		to.does(fmt.Sprint("receive ", at, " ", n))
	}
	move(far, "192.0.2.10:44312", monerod, "198.51.100.7:18080", much)
	move(monerod, "198.51.100.7:18080", far, "192.0.2.10:44312", some)
	move(far, "192.0.2.10:18080", monerod, "203.0.113.9:50122", some)
	move(curl, "203.0.113.80:443", far, "192.0.2.10:51870", stageBytes)
	move(far, "192.0.2.10:443", nginx, "198.51.100.23:5018", stageBytes)
	far.does("close 192.0.2.10:443")
	nginx.does("end 198.51.100.23:5018")
	return staged{far, monerod}
}

// staged are the actors that can do more.
type staged struct{ far, monerod *actor }

// traffic lets payload flow, much one way and some the other, until the end.
func (s staged) traffic() {
	s.monerod.does("drain 198.51.100.7:18080", "drain 203.0.113.9:50122")
	s.far.does("drain 192.0.2.10:44312", "stream 192.0.2.10:44312 65536", "stream 192.0.2.10:18080 1024")
	s.monerod.does("stream 198.51.100.7:18080 4096")
}

// connectHosts connects this namespace with that of a process, by a wire of two ends.
func connectHosts(t *testing.T, pid int) {
	t.Helper()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}
	if err := netlink.LinkAdd(link); err != nil {
		t.Skip("no wire can be laid between two namespaces: ", err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(link); err != nil {
			t.Error(err)
		}
	})
	there, err := netns.GetFromPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	far, err := netlink.NewHandleAt(there)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := netlink.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	peer, err := netlink.LinkByName("eth1")
	if err == nil {
		err = netlink.LinkSetNsFd(peer, int(there))
	}
	if err != nil {
		t.Fatal(err)
	}
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	for _, side := range []struct {
		of        *netlink.Handle
		name      string
		addresses []string
	}{
		{near, "eth0", []string{"192.0.2.10/32"}},
		{far, "eth1", []string{"198.51.100.7/32", "198.51.100.23/32", "203.0.113.9/32", "203.0.113.80/32"}},
	} {
		link, err := side.of.LinkByName(side.name)
		if err == nil {
			err = side.of.LinkSetUp(link)
		}
		for _, text := range side.addresses {
			address, parseErr := netlink.ParseAddr(text)
			err = errors.Join(err, parseErr)
			if err == nil {
				err = side.of.AddrAdd(link, address)
			}
		}
		if err == nil {
			err = side.of.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: everywhere, Scope: netlink.SCOPE_LINK})
		}
		if err != nil {
			t.Fatalf("%s: %v", side.name, err)
		}
	}
}

// actor is a process of some name that does as it is told.
type actor struct {
	t       *testing.T
	command *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
}

// play starts an actor.
func play(t *testing.T, name string, flags uintptr) *actor {
	t.Helper()
	command := exec.Command("/proc/self/exe", "-test.run=^TestAsActor$", "--", "actor", name)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Skip("no process can be had in a namespace of its own: ", err)
	}
	t.Cleanup(func() {
		in.Close() // the end
		if err := command.Wait(); err != nil {
			t.Errorf("%s: %v: %s", name, err, stderr.String())
		}
	})
	a := &actor{t, command, in, bufio.NewReader(out)}
	a.does("name " + name)
	return a
}

// does tells what to do, and waits until it is done.
func (a *actor) does(lines ...string) {
	a.t.Helper()
	for _, line := range lines {
		if _, err := fmt.Fprintln(a.in, line); err != nil {
			a.t.Fatal(err)
		}
		if answer, err := a.out.ReadString('\n'); err != nil || answer != "done\n" {
			a.t.Fatalf("%s: %q, %v", line, answer, err)
		}
	}
}

// TestAsActor is the process of play.
func TestAsActor(*testing.T) {
	if flag.Arg(0) != "actor" {
		return // it is no test, and this process is to run those: nothing is left out
	}
	listeners, connections := make(map[string]net.Listener), make(map[string]net.Conn)
	act := func(words []string) error {
		switch words[0] {
		case "name":
			return os.WriteFile("/proc/self/comm", []byte(words[1]), 0)
		case "listen":
			var err error
			listeners[words[1]], err = net.Listen("tcp4", words[1])
			return err
		case "accept":
			conn, err := listeners[words[1]].Accept()
			if err != nil {
				return err
			}
			connections[conn.RemoteAddr().String()] = conn
			return conn.(*net.TCPConn).SetLinger(0)
		case "dial":
			from, err := net.ResolveTCPAddr("tcp", words[1])
			if err != nil {
				return err
			}
			dialer := net.Dialer{LocalAddr: from}
			conn, err := dialer.Dial("tcp", words[2])
			if err != nil {
				return err
			}
			connections[words[2]] = conn
			return conn.(*net.TCPConn).SetLinger(0) // so that the end leaves no TIME_WAIT to those who come next
		case "close":
			return errors.Join(connections[words[1]].(*net.TCPConn).SetLinger(-1), connections[words[1]].Close())
		case "end": // waits for the other side's
			if _, err := io.Copy(io.Discard, connections[words[1]]); err != nil {
				return err
			}
			return nil
		case "drain":
			conn := connections[words[1]]
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			return nil
		}
		n, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		if words[0] == "send" {
			conn := connections[words[1]]
			go func() { _, _ = conn.Write(make([]byte, n)) }() // who receives it tells whether it came
			return nil
		}
		if words[0] == "stream" { // so much ten times a second, until the process ends
			conn := connections[words[1]]
			go func() {
				for range time.Tick(100 * time.Millisecond) {
					if _, err := conn.Write(make([]byte, n)); err != nil {
						return
					}
				}
			}()
			return nil
		}
		_, err = io.CopyN(io.Discard, connections[words[1]], int64(n))
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := act(strings.Fields(lines.Text())); err != nil {
			fmt.Fprintln(os.Stderr, lines.Text(), err)
			os.Exit(1)
		}
		fmt.Println("done")
	}
	os.Exit(0)
}
