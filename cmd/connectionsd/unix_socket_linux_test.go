package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/connectionsd/connectionsd/privilege"
)

// modeOf returns the type and the permissions of a file, and whose it is.
func modeOf(t *testing.T, path string) (mode os.FileMode, uid, gid int) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return info.Mode(), int(stat.Uid), int(stat.Gid)
}

// The file is for its user and group alone, whatever the umask.
func TestListenUnix(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		path := filepath.Join(t.TempDir(), "c.sock")
		old := syscall.Umask(umask)
		socket, err := listenUnix(t.Context(), path, nil)
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %o: %v", umask, err)
		}
		mode, uid, gid := modeOf(t, path)
		if mode != os.ModeSocket|0o660 || uid != os.Getuid() || gid != os.Getgid() {
			t.Errorf("umask %o: %v of %d:%d, want Srw-rw---- of %d:%d", umask, mode, uid, gid, os.Getuid(), os.Getgid())
		}
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
		if err := socket.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("umask %o: after its removal: %v", umask, err)
		}
		if err := socket.remove(); err != nil {
			t.Errorf("removing it again: %v", err)
		}
	}
}

func TestListenUnixForAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("an ordinary user can give no file away: run as root")
	}
	if b, err := os.ReadFile("/proc/self/uid_map"); err != nil || strings.Fields(string(b))[2] == "1" {
		t.Skip("this user namespace has one user: run as root of the host")
	}
	path := filepath.Join(t.TempDir(), "c.sock")
	socket, err := listenUnix(t.Context(), path, &privilege.User{UID: 65534, GID: 65533})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if mode, uid, gid := modeOf(t, path); mode != os.ModeSocket|0o660 || uid != 65534 || gid != 65533 {
		t.Errorf("%v of %d:%d, want Srw-rw---- of 65534:65533", mode, uid, gid)
	}
}

// What somebody has put in the place of the file since it was made is not given away.
func TestUnixSocketThatIsReplaced(t *testing.T) {
	dir := t.TempDir()
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "c.sock")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	// A socket with another name, which may be another daemon's.
	other, name := filepath.Join(dir, "other"), filepath.Join(dir, "name")
	listener, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Link(other, name); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, link, name} {
		const want = "somebody has put another file in its place: want a directory that others may not write to"
		if _, err := giveTo(path, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if mode, _, _ := modeOf(t, secret); mode != 0o600 {
		t.Errorf("the file that the link leads to: %v, want -rw-------", mode)
	}
}

// A file whose daemon is dead is replaced; one of somebody who lives is not touched, nor is one that is no socket.
func TestListenUnixWhereAFileIs(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	socket, err := listenUnix(t.Context(), dead, nil)
	if err != nil {
		t.Fatalf("a dead one's: %v", err)
	}
	defer socket.Close()

	_, err = listenUnix(t.Context(), dead, nil)
	if want := "listen on " + dead + ": somebody else listens there: choose another with --unix-socket"; err == nil || err.Error() != want {
		t.Errorf("a living one's: %v, want %s", err, want)
	}
	conn, err := net.Dial("unix", dead)
	if err != nil {
		t.Fatalf("the living one's file is gone: %v", err)
	}
	conn.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, dir} {
		_, err = listenUnix(t.Context(), path, nil)
		want := "listen on " + path + ": there is a file of that name which is no socket: choose another with --unix-socket"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "text" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dead, link); err != nil {
		t.Fatal(err)
	}
	if _, err = listenUnix(t.Context(), link, nil); err == nil {
		t.Error("a link to a socket was replaced")
	}

	missing := filepath.Join(dir, "no-such-directory", "c.sock")
	if _, err = listenUnix(t.Context(), missing, nil); err == nil || !strings.Contains(err.Error(), "listen on "+missing+": ") ||
		!strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

// What somebody else has put in its place stays.
func TestUnixSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	first, err := listenUnix(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// Beside it first: the inode number must be another.
	second, err := listenUnix(t.Context(), path+".new", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := first.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second one's file: %v", err)
	}
}
