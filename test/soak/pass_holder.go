//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// passCommand is the first argument of the process through which connections pass.
const passCommand = "pass"

// It listens at 127.1.1.1 to 127.1.20.1, so that the ports of those that were closed, which the kernel keeps for a minute,
// do not run out.
const passAddresses = 20

// How long a connection that passes through is open.
const (
	shortestLife = 200 * time.Millisecond
	longestLife  = 3 * time.Second
)

// passNews is what the process tells.
type passNews struct {
	Opened, Closed int
	Open           int // now, and those that stay
	Ready          bool
}

// through is a process that has both ends of connections that come and go.
type through struct {
	listeners []int
	addresses []unix.SockaddrInet4
	wheel     [1024][]pair // by when they end, 4 ms each
	random    *rand.Rand
	news      passNews
}

const step = 4 * time.Millisecond

// pair is both ends of a connection.
type pair struct{ opener, accepted int }

// passThrough is the process through which connections pass.
func passThrough(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(passCommand, flag.ContinueOnError)
	rate := flags.Float64("rate", 0, "")
	stay := flags.Int("stay", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := allowFiles(uint64(2*(*stay)) + uint64(2**rate*longestLife.Seconds()) + 256); err != nil {
		return err
	}
	ctx, cancel := untilInputEnds(ctx)
	defer cancel()
	t := &through{random: rand.New(rand.NewPCG(1, 2))}
	if err := t.listen(); err != nil {
		return err
	}
	staying := make([]pair, 0, *stay)
	for i := range *stay {
		p, err := t.open(i)
		if err != nil {
			return err
		}
		staying = append(staying, p)
	}
	err := t.run(ctx, *rate)
	for _, p := range staying {
		resetAndClose(p.opener)
		resetAndClose(p.accepted)
	}
	return err
}

func (t *through) listen() error {
	for k := range passAddresses {
		at := unix.SockaddrInet4{Addr: [4]byte{127, 1, byte(k + 1), 1}}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("make a socket: %w", err)
		}
		if err := errors.Join(unix.Bind(fd, &at), unix.Listen(fd, 16)); err != nil {
			return fmt.Errorf("listen at %v: %w", at.Addr, err)
		}
		bound, err := unix.Getsockname(fd)
		if err != nil {
			return fmt.Errorf("ask for the port: %w", err)
		}
		at.Port = bound.(*unix.SockaddrInet4).Port
		t.listeners, t.addresses = append(t.listeners, fd), append(t.addresses, at)
	}
	return nil
}

// open opens connection i, and has a few bytes go each way.
func (t *through) open(i int) (p pair, err error) {
	k := i % passAddresses
	if p.opener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return p, fmt.Errorf("make a socket: %w", err)
	}
	if err := uninterrupted(func() error { return unix.Connect(p.opener, &t.addresses[k]) }); err != nil {
		return p, fmt.Errorf("open connection %d: %w", i, err)
	}
	err = uninterrupted(func() (err error) {
		p.accepted, _, err = unix.Accept4(t.listeners[k], unix.SOCK_CLOEXEC)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("accept connection %d: %w", i, err)
	}
	t.news.Opened++
	t.news.Open++
	for _, end := range []int{p.opener, p.accepted} {
		if _, err := unix.Write(end, []byte("some bytes")); err != nil {
			return p, fmt.Errorf("write to connection %d: %w", i, err)
		}
	}
	return p, nil
}

// uninterrupted calls f again where a signal came in between. A connect that is interrupted goes on by itself, and the
// second call waits for it.
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

// run opens so many connections a second and closes each after its life, until ctx is done.
func (t *through) run(ctx context.Context, rate float64) error {
	t.news.Ready = true
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	began := time.Now()
	opened, told, turned := 0, time.Time{}, 0
	for ctx.Err() == nil {
		now := time.Now()
		for turn := int(now.Sub(began) / step); turned < turn; turned++ {
			t.end(turned % len(t.wheel))
		}
		for float64(opened) < rate*now.Sub(began).Seconds() {
			p, err := t.open(opened)
			if err != nil {
				return err
			}
			opened++
			life := shortestLife + time.Duration(t.random.Int64N(int64(longestLife-shortestLife)))
			slot := (turned + int(life/step)) % len(t.wheel)
			t.wheel[slot] = append(t.wheel[slot], p)
		}
		if now.Sub(told) >= time.Second {
			told = now
			if err := tell(t.news); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	for slot := range t.wheel {
		t.end(slot)
	}
	return nil
}

// end closes those whose life is over: half with a reset, the others so that the kernel keeps them for a minute.
func (t *through) end(slot int) {
	for _, p := range t.wheel[slot] {
		if t.random.IntN(2) == 0 {
			resetAndClose(p.opener)
		} else {
			var b [16]byte
			_, _ = unix.Read(p.opener, b[:]) // unread bytes would make it a reset
			_, _ = unix.Read(p.accepted, b[:])
			unix.Close(p.opener)
		}
		unix.Close(p.accepted)
		t.news.Closed++
		t.news.Open--
	}
	t.wheel[slot] = t.wheel[slot][:0]
}
