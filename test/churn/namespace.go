//go:build linux

package churn

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoBuckets is wrapped where the kernel (before Linux 6.1) or the privilege of
// the process does not allow a namespace with a hash table of its own.
var ErrNoBuckets = errors.New("a network namespace with a hash table of its own cannot be had")

// namespace is a network namespace, and a thread that is in it.
type namespace struct {
	calls  chan func()
	closed chan struct{}
	// buckets is how many its table of connections has.
	buckets int
}

// newNamespace makes a network namespace with loopback up. Its table of
// connections has that many buckets, a power of two, or is with 0 that of the
// host.
func newNamespace(buckets int) (*namespace, error) {
	n := &namespace{calls: make(chan func()), closed: make(chan struct{})}
	made := make(chan error)
	go n.run(buckets, made)
	if err := <-made; err != nil {
		n.close()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// run is the thread. It ends with the goroutine, as it is never unlocked.
func (n *namespace) run(buckets int, made chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread is what /proc shows of the process, and it never ends: it
		// is kept so that another has to be taken.
		go n.run(buckets, made)
		<-n.closed
		runtime.UnlockOSThread()
		return
	}
	defer close(n.closed)
	err := n.enter(buckets)
	made <- err
	for call := range n.calls {
		call()
	}
}

func (n *namespace) enter(buckets int) (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if buckets != 0 {
		// It counts for the namespaces that are made from this one.
		const path = "/proc/sys/net/ipv4/tcp_child_ehash_entries"
		if err := os.WriteFile(path, []byte(strconv.Itoa(buckets)), 0); err != nil {
			return fmt.Errorf("%w: %w", ErrNoBuckets, err)
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
	}
	if n.buckets, err = ownBuckets(); err != nil {
		return err
	}
	if buckets != 0 && n.buckets != buckets {
		return fmt.Errorf("%w: it has %d buckets, want %d", ErrNoBuckets, n.buckets, buckets)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	return nil
}

// ownBuckets returns how many buckets the table has in which the connections of
// the calling thread's namespace are; 0 if the kernel (before Linux 6.1) does not
// tell.
func ownBuckets() (int, error) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_ehash_entries")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("tcp_ehash_entries is %q, want a number", b)
	}
	return max(n, -n), nil // below 0: the namespace shares the table of the host
}

// do calls f on the thread, and a process that f starts is in the namespace. A
// process that is to end with this one (Pdeathsig) ends with close.
func (n *namespace) do(f func() error) error {
	err := make(chan error, 1)
	n.calls <- func() { err <- f() }
	return <-err
}

// close ends the thread, and with it the namespace if nothing else is in it.
func (n *namespace) close() {
	close(n.calls)
	<-n.closed
}
