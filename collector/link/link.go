//go:build linux

// Package link tells the network interfaces of a network namespace: what they
// are called, and which addresses they have.
//
// It imports vishvananda/netlink and x/sys/unix.
package link

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// timeout bounds how long an answer of rtnetlink is waited for. The kernel
// gives it before the request has returned.
const timeout = time.Second

// Dial opens an rtnetlink socket in the calling thread's network namespace.
func Dial() (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open an rtnetlink socket: %w", err)
	}
	if err := h.SetSocketTimeout(timeout); err != nil {
		h.Close()
		return nil, fmt.Errorf("limit the time of an rtnetlink socket: %w", err)
	}
	return h, nil
}

// Links are the interfaces of one network namespace. They are asked for anew
// each time, since an interface can be renamed and lose its addresses. They are
// for one caller at a time.
type Links struct {
	dial   func() (*netlink.Handle, error)
	handle *netlink.Handle // nil until it is needed
}

// New returns the interfaces of the namespace that dial opens its socket in.
func New(dial func() (*netlink.Handle, error)) *Links { return &Links{dial: dial} }

// Close closes the socket, if there is one. The next question opens another.
func (l *Links) Close() {
	if l.handle != nil {
		l.handle.Close()
		l.handle = nil
	}
}

func (l *Links) open() error {
	if l.handle != nil {
		return nil
	}
	h, err := l.dial()
	if err != nil {
		return err
	}
	l.handle = h
	return nil
}

// Name returns what the interface with an index is called.
func (l *Links) Name(index uint32) (string, error) {
	if err := l.open(); err != nil {
		return "", err
	}
	found, err := l.handle.LinkByIndex(int(index))
	if err != nil {
		l.Close() // what is left of a failed answer cannot be taken for the next one
		return "", fmt.Errorf("look up the interface with index %d: %w", index, err)
	}
	return found.Attrs().Name, nil
}

// Addresses calls each for every address of the namespace, an IPv4 one
// IPv4-mapped, with the index of its interface.
func (l *Links) Addresses(each func(ip [16]byte, index uint32)) error {
	if err := l.open(); err != nil {
		return err
	}
	list, err := l.handle.AddrList(nil, netlink.FAMILY_ALL)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		// The addresses changed meanwhile.
		list, err = l.handle.AddrList(nil, netlink.FAMILY_ALL)
	}
	if err != nil {
		l.Close()
		return fmt.Errorf("list the addresses of the interfaces: %w", err)
	}
	for _, a := range list {
		if a.IPNet == nil {
			continue
		}
		if ip := a.IP.To16(); ip != nil {
			each([16]byte(ip), uint32(a.LinkIndex))
		}
	}
	return nil
}
