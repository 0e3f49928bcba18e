//go:build linux

package churn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// listen makes the holder's listeners, and returns where connections can be
// opened to.
func (h *holder) listen() (t targets, err error) {
	loopback4, loopback6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	for _, l := range []struct {
		bind   netip.Addr
		manner manner
	}{
		{loopback4, follower},
		{loopback6, follower},
		{netip.IPv6Unspecified(), follower},
		{netip.IPv6Unspecified(), leader},
		{netip.IPv6Unspecified(), patient},
		{netip.IPv6Unspecified(), passive},
	} {
		port, err := h.listenOn(l.bind, l.manner)
		if err != nil {
			return t, fmt.Errorf("listen on %v: %w", l.bind, err)
		}
		var reach []target
		if l.bind != loopback6 {
			reach = append(reach, target{Address: netip.AddrPortFrom(loopback4, port), Manner: l.manner})
		}
		if l.bind != loopback4 {
			reach = append(reach, target{Address: netip.AddrPortFrom(loopback6, port), Manner: l.manner})
		}
		if l.bind.IsUnspecified() {
			reach = append(reach, target{Address: netip.AddrPortFrom(loopback4, port), Mapped: true, Manner: l.manner})
		}
		if l.manner == passive {
			t.Held = append(t.Held, reach...)
		} else {
			t.Churn = append(t.Churn, reach...)
		}
	}
	return t, nil
}

func (h *holder) listenOn(address netip.Addr, m manner) (port uint16, err error) {
	sockaddr, family := sockaddrOf(netip.AddrPortFrom(address, 0), false)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	if address.IsUnspecified() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return 0, err
		}
	}
	if err := unix.Bind(fd, sockaddr); err != nil {
		return 0, err
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return 0, err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	h.listeners[fd] = m
	return addrPortOf(local).Port(), h.watch(fd, unix.EPOLLIN)
}

func (h *holder) watch(fd int, events uint32) error {
	return unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// open opens a connection. The kernel gets it done within this thread, as both
// ends are on this host.
func (h *holder) open(to target) (*held, error) {
	sockaddr, family := sockaddrOf(to.Address, to.Mapped)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	began := now()
	if err := uninterrupted(func() error { return unix.Connect(fd, sockaddr) }); err != nil {
		return nil, fmt.Errorf("connect to %v: %w", to.Address, err)
	}
	done := now()
	local, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("ask for the local address: %w", err)
	}
	e := h.add(fd, true, to.Manner)
	h.tell(event{What: opened, End: e.number, Local: addrPortOf(local), Remote: to.Address, Began: began, Done: done})
	return e, h.watch(fd, unix.EPOLLIN|unix.EPOLLRDHUP)
}

// accept accepts what waits at a listener.
func (h *holder) accept(listener int) error {
	m := h.listeners[listener]
	for {
		fd, remote, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		done := now()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			return fmt.Errorf("ask for the local address: %w", err)
		}
		if dead, err := isReset(fd); dead || err != nil {
			// Of a connection that was reset while it waited nothing is told: it may not
			// be the last that was begun with these two ends.
			if err := errors.Join(err, unix.Close(fd)); err != nil {
				return err
			}
			continue
		}
		e := h.add(fd, false, m)
		h.tell(event{What: accepted, End: e.number, Local: addrPortOf(local), Remote: addrPortOf(remote), Done: done})
		if err := h.watch(fd, unix.EPOLLIN|unix.EPOLLRDHUP); err != nil {
			return err
		}
		if m == leader {
			h.plan(e)
		}
		if m != passive {
			continue
		}
		// Those that are kept outlive their listener.
		if h.kept--; h.kept == 0 {
			delete(h.listeners, listener)
			return unix.Close(listener)
		}
	}
}

// isReset reports whether a connection has been reset.
func isReset(fd int) (bool, error) {
	const tcpClose = 7 // include/net/tcp_states.h
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return false, fmt.Errorf("ask for the state of a connection: %w", err)
	}
	return info.State == tcpClose, nil
}

func (h *holder) add(fd int, opener bool, m manner) *held {
	h.last++
	e := &held{number: h.last, fd: fd, opener: opener, manner: m}
	h.ends[fd] = e
	return e
}

func (h *holder) tell(e event) { h.report.Events = append(h.report.Events, e) }

// wait deals with what happens to the ends and the listeners, and waits for it.
func (h *holder) wait(most time.Duration) error {
	var events [256]unix.EpollEvent
	n, err := unix.EpollWait(h.epoll, events[:], int(most.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait: %w", err)
	}
	for _, event := range events[:max(n, 0)] {
		fd := int(event.Fd)
		if _, listens := h.listeners[fd]; listens {
			err = h.accept(fd)
		} else if e := h.ends[fd]; e != nil {
			err = h.heed(e, event.Events)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heed deals with what happened to an end.
func (h *holder) heed(e *held, events uint32) error {
	switch {
	case events&unix.EPOLLERR != 0, events&unix.EPOLLHUP != 0 && !e.shut:
		return h.end(e, aborted) // the other has
	case events&unix.EPOLLHUP != 0:
		return h.end(e, closed)
	case events&unix.EPOLLRDHUP != 0 && (e.manner == patient || e.manner == leader):
		h.timers.add(timer{now().add(h.life()), e, closeIt})
		// Of the FIN it is not to be told again.
		return unix.EpollCtl(h.epoll, unix.EPOLL_CTL_MOD, e.fd, &unix.EpollEvent{Fd: int32(e.fd)})
	case events&unix.EPOLLRDHUP != 0:
		return h.end(e, closed)
	default:
		h.hear(e)
		return nil
	}
}

// hear reads what came. Who accepted answers with a byte.
func (h *holder) hear(e *held) {
	var buf [32 << 10]byte
	n, _, err := unix.Recvfrom(e.fd, buf[:], unix.MSG_DONTWAIT)
	if err == nil && n > 0 && !e.opener {
		send(e, buf[:1])
	}
}

// send sends, if there is room. That the other end has gone is told by epoll.
func send(e *held, b []byte) {
	_, _ = unix.SendmsgN(e.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// end closes an end, if it is still there.
func (h *holder) end(e *held, how what) error {
	if e.fd < 0 {
		return nil
	}
	if how == aborted {
		if err := unix.SetsockoptLinger(e.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("have a close reset the connection: %w", err)
		}
	}
	delete(h.ends, e.fd)
	began := now()
	err := unix.Close(e.fd)
	e.fd = -1
	h.tell(event{What: how, End: e.number, Began: began, Done: now()})
	return err
}

// shut closes the half of an end that it sends by.
func (h *holder) shut(e *held) error {
	began := now()
	err := unix.Shutdown(e.fd, unix.SHUT_WR)
	e.shut = true
	h.tell(event{What: shut, End: e.number, Began: began, Done: now()})
	if errors.Is(err, unix.ENOTCONN) { // the other end has reset it
		return nil
	}
	return err
}

// uninterrupted calls f again where a signal came in between. A connect that is
// interrupted goes on by itself, and the second call waits for it.
func uninterrupted(f func() error) error {
	for {
		err := f()
		if errors.Is(err, unix.EISCONN) {
			return nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EALREADY) {
			return err
		}
	}
}

// sockaddrOf returns an address as the kernel takes it, and its family. An
// address of IPv4 can be one of IPv6 too.
func sockaddrOf(a netip.AddrPort, mapped bool) (s unix.Sockaddr, family int) {
	if a.Addr().Is4() && !mapped {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}, unix.AF_INET6
}

// addrPortOf returns an address as the kernel gives it; one of IPv4 as such.
func addrPortOf(s unix.Sockaddr) netip.AddrPort {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr).Unmap(), uint16(s.Port))
	default:
		return netip.AddrPort{}
	}
}
