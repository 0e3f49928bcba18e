package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/privilege"
)

// socketMode lets the user and the group of the daemon connect.
const socketMode = 0o660

// unixSocket is a socket file that this daemon has made.
type unixSocket struct {
	*net.UnixListener
	path string
	info os.FileInfo // the file, to know it again
}

// listenUnix listens on a socket file, which becomes owner's unless that is nil. A file whose daemon is dead is replaced,
// one that somebody listens on is an error.
func listenUnix(ctx context.Context, path string, owner *privilege.User) (*unixSocket, error) {
	listener, err := bindUnix(ctx, path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeDead(ctx, path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
		listener, err = bindUnix(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	listener.SetUnlinkOnClose(false) // remove does it, and sees that it is still this one
	info, err := giveTo(path, owner)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), listener.Close())
	}
	return &unixSocket{UnixListener: listener, path: path, info: info}, nil
}

// bindUnix makes the file. At no time may others connect: the kernel gives the file the mode of the unbound socket, less
// the umask (unix_bind_bsd in net/unix/af_unix.c).
func bindUnix(ctx context.Context, path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmod error
		if err := raw.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), socketMode) }); err != nil {
			return err
		}
		return chmod
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return listener.(*net.UnixListener), nil
}

// giveTo gives the file to owner, and back what the umask took. Who may write to the directory can have put another file
// in its place by now, or another name of one: what is opened is looked at, and no name is gone by after that.
func giveTo(path string, owner *privilege.User) (os.FileInfo, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Type() != os.ModeSocket || !isOnlyOurs(info):
		return nil, errors.New("somebody has put another file in its place: want a directory that others may not write to")
	}
	if owner != nil {
		if err := unix.Fchownat(fd, "", owner.UID, owner.GID, unix.AT_EMPTY_PATH); err != nil {
			return nil, &os.PathError{Op: "chown", Path: path, Err: err}
		}
	}
	// A descriptor of O_PATH has no fchmod(2).
	if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), socketMode); err != nil {
		return nil, fmt.Errorf("make %s its group's: %w", path, err)
	}
	return file.Stat()
}

// isOnlyOurs reports whether a file is this user's and has one name.
func isOnlyOurs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
}

// removeDead removes a socket file that nobody listens on.
func removeDead(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // just now
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("there is a file of that name which is no socket: choose another with --unix-socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return errors.New("somebody else listens there: choose another with --unix-socket")
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	default: // such as EAGAIN: somebody who is busy
		return fmt.Errorf("see whether somebody listens there: %w", err)
	}
}

// remove removes the file, unless somebody has put another in its place.
func (s *unixSocket) remove() error {
	info, err := os.Lstat(s.path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, s.info) {
		return nil
	}
	if err == nil {
		err = unix.Unlink(s.path) // os.Remove would try to remove a directory too, and tell of that
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", s.path, err)
	}
	return nil
}
