//go:build linux

package collector

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// network lets the goroutine of Run look whether something has come for one of
// the goroutines that wait for the network. Go's scheduler looks there by itself
// only when nothing else is left to do, or after ten milliseconds: with one
// processor for Go, which the kernel has while it makes a dump, a request that
// came meanwhile would not be seen before the next dump, which it should share.
type network struct {
	eventfd *os.File
	conn    syscall.RawConn
	wait    func(fd uintptr) (ready bool) // made once: look allocates nothing
	waited  bool
}

// newNetwork returns nil where no descriptor is left: then those who have something
// to do have their turn without a look.
func newNetwork() *network {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil
	}
	n := &network{eventfd: os.NewFile(uintptr(fd), "eventfd")}
	if n.conn, err = n.eventfd.SyscallConn(); err != nil {
		n.close()
		return nil
	}
	one := binary.NativeEndian.AppendUint64(nil, 1) // its count is never read: it has room for some years of 2^40 looks each
	n.wait = func(fd uintptr) bool {
		if n.waited {
			return true
		}
		n.waited = true
		_, err := unix.Write(int(fd), one)
		return err != nil // nothing would come
	}
	return n
}

// look returns, with one processor for Go, once all who have something to do have
// had their turn, and those for whom something has come before are among them. It
// makes something come for the caller and waits for that, so that the scheduler has
// to look. With more processors they have had it, or have it now.
func (n *network) look() {
	if n == nil {
		runtime.Gosched()
		return
	}
	n.waited = false
	_ = n.conn.Read(n.wait) // it fails only where Go cannot wait for an eventfd
	runtime.Gosched()       // the scheduler can have come to the caller before the others
}

func (n *network) close() {
	if n != nil {
		_ = n.eventfd.Close() // nobody else has it
	}
}
